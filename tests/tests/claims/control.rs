//! Control streams: commands that arrive, answers that count, and tasks that stop.

mod answers;
mod cancel;
mod commands;
mod leaving;
mod peer;
mod scripted;
mod shown;
mod tasks;
