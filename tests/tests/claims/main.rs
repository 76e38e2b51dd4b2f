//! Claims about the running system: real processes, real sockets, certificates minted for the
//! test. One binary, so that it links once.

mod answers;
mod authorization;
mod dataset;
mod fixture;
mod loss;
mod membership;
mod refusals;
mod renewal;
mod rows;
mod schedulers;
mod shuffle;
mod startup;
mod status;
mod tables;
