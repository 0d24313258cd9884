"""Meaning of a configuration to the core."""

from __future__ import annotations

from haizea.config.opennebula import DurationFrom, ReadyBy
from haizea.config.sections import Config
from haizea.config.words import ImageReuse, Mode, Preparation
from haizea.core.model.settings import ImageSettings, Settings


def scheduling_settings(config: Config) -> Settings:
    """The scheduler's rules."""
    chosen = config.scheduling
    return Settings(
        remapping_effort=chosen.remapping_effort,
        backfilling=chosen.backfilling,
        backfilling_reservations=chosen.backfilling_reservations or 1,
        suspension=chosen.suspension,
        suspend_rate_mb_s=chosen.suspend_rate_mb_s,
        resume_rate_mb_s=chosen.resume_rate_mb_s,
        override_suspend_seconds=chosen.override_suspend_seconds,
        override_resume_seconds=chosen.override_resume_seconds,
        exclusion=chosen.suspendresume_exclusion,
        migration=chosen.migration,
        migration_bandwidth_mbps=config.simulation.imagetransfer_bandwidth_mbps,
        scheduling_threshold_factor=chosen.scheduling_threshold_factor,
        force_scheduling_threshold_seconds=chosen.force_scheduling_threshold_seconds,
        shutdown_seconds=chosen.shutdown_seconds,
        enactment_overhead_seconds=chosen.enactment_overhead_seconds,
        non_schedulable_seconds=chosen.non_schedulable_seconds if config.is_service else 0,
        # A simulation knows no jobs that are done before they must go, but by chance.
        run_on=config.general.mode is Mode.OPENNEBULA,
        counts_preparation=config.opennebula.duration_from is DurationFrom.DEPLOYMENT,
        prepares_at_start=config.opennebula.ready_by is ReadyBy.DEPLOY,
        images=_image_settings(config),
    )


def _image_settings(config: Config) -> ImageSettings | None:
    if config.general.lease_preparation is Preparation.UNMANAGED:
        return None
    transfer = config.deploy_imagetransfer
    cached = transfer.diskimage_reuse is ImageReuse.IMAGE_CACHES
    cache_mb = (transfer.diskimage_cache_mb or 0) if cached else 0
    ahead_mb = transfer.diskimage_ahead_mb
    return ImageSettings(
        mechanism=transfer.transfer_mechanism,
        avoid_redundant=transfer.avoid_redundant_transfers,
        cache_mb=cache_mb,
        ahead_mb=min(ahead_mb, cache_mb) if cached else ahead_mb,
        bandwidth_mbps=config.simulation.imagetransfer_bandwidth_mbps,
        force_transfer_seconds=transfer.force_imagetransfer_seconds,
    )
