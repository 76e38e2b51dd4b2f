//! `spice completions`.

use clap::Args;
use clap_complete::Shell;

/// Print what makes a shell complete commands and options with the Tab key.
///
/// Put it where the shell looks for completions; a new shell has them then.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// The shell to print it for.
    #[arg(value_name = "SHELL", value_enum)]
    pub(crate) shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  spice completions bash > ~/.local/share/bash-completion/completions/spice
  spice completions zsh > ~/.zfunc/_spice          # with fpath+=~/.zfunc before compinit
  spice completions fish > ~/.config/fish/completions/spice.fish
  spice completions elvish >> ~/.config/elvish/rc.elv
  spice completions powershell >> $PROFILE";
