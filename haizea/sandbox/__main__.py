"""``python -m haizea.sandbox``: an OpenNebula to try things on, until it is interrupted."""

from __future__ import annotations

from pathlib import Path

import click

from haizea.sandbox.events import EventsError
from haizea.sandbox.operations import Durations
from haizea.sandbox.saved import StateFileError
from haizea.sandbox.server import MOST_HOSTS, VERSIONS, Options, serve


@click.command()
@click.option("--version", default="6.10.5", show_default=True, help=f"{', '.join(VERSIONS)}.")
@click.option("--hosts", default=4, show_default=True, type=click.IntRange(0, MOST_HOSTS))
@click.option("--port", default=2633, show_default=True, type=click.IntRange(0, 65535))
@click.option("--events-port", default=2101, show_default=True, type=click.IntRange(0, 65535))
@click.option("--no-events", is_flag=True, help="Publish no events.")
@click.option("--password", default="onepass", show_default=True, help="oneadmin's password.")
@click.option("--speed", default=1.0, show_default=True, help="Its seconds per real second.")
@click.option("--pace", default=1.0, show_default=True, help="Factor on the time of operations.")
@click.option("--image-rate", default=0.0, show_default=True, help="MB/s of copying images.")
@click.option("--spread", default=0.0, show_default=True, help="Part by which rates differ.")
@click.option("--hold", is_flag=True, help="Submitted VMs wait in HOLD.")
@click.option("--stock-scheduler", is_flag=True, help="Place pending VMs, as a rival would.")
@click.option("--state-file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--seed", default=0, show_default=True, help="Seed of what happens by chance.")
def main(
    version: str,
    hosts: int,
    port: int,
    events_port: int,
    no_events: bool,
    password: str,
    speed: float,
    pace: float,
    image_rate: float,
    spread: float,
    hold: bool,
    stock_scheduler: bool,
    state_file: Path | None,
    seed: int,
) -> None:
    """Play an OpenNebula: XML-RPC, states, events. Port 0 is any that is free."""
    try:
        if pace <= 0:
            raise ValueError(f"--pace must be above 0, not {pace}")
        options = Options(
            version=version,
            host_count=hosts,
            port=port,
            events_port=None if no_events else events_port,
            oneadmin_password=password,
            speed=speed,
            durations=Durations(prolog_mbps=image_rate, spread=spread).scaled(pace),
            submit_on_hold=hold,
            stock_scheduler_seconds=1.0 if stock_scheduler else None,
            state_file=state_file,
            seed=seed,
        )
        serve(options, click.echo)
    except (OSError, EventsError, StateFileError, ValueError) as error:
        click.echo(f"cannot start the sandbox: {error}", err=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
