#[derive(Debug, clap::Args)]
pub struct Simulate {}
impl Simulate {
    pub fn run(self) -> anyhow::Result<std::process::ExitCode> {
        Ok(std::process::ExitCode::SUCCESS)
    }
}
