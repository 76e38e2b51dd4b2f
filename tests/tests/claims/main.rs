//! Claims about the running system: real processes, real sockets, certificates minted for the
//! test. One binary, so that it links once.

mod answers;
mod authorization;
mod control;
mod dataset;
mod definition;
mod fixture;
mod heavy;
mod history;
mod loss;
mod membership;
mod metrics;
mod refusals;
mod renewal;
mod rows;
mod schedulers;
mod secrets;
mod shuffle;
mod sources;
mod startup;
mod status;
mod tables;
