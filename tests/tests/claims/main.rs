//! Claims about the running system: real processes, real sockets, certificates minted for the
//! test. One binary, so that it links once.

mod answers;
mod authorization;
mod loss;
mod refusals;
mod shuffle;
mod startup;
mod tables;
