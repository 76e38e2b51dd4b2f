//! Several schedulers that share all executors, while nodes die, stand still, and come back.

mod events;
mod learning;
mod liar;
mod load;
mod lost_polls;
mod numbers;
mod outage;
mod relay;
mod seeds;
mod watched;
