"""Dagster's daemon, with the process that runs are forked from started before the first run."""

from dagster._daemon.cli import cli

from csv_pipeline.defs.launcher import SOURCE


def main() -> None:
    """Run the daemon by Dagster's own options until it is told to end."""
    SOURCE.start()
    try:
        cli()
    finally:
        SOURCE.stop()


if __name__ == "__main__":
    main()
