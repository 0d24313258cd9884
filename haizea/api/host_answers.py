"""Models of answers about hosts, as the OpenAPI description shows them."""

from __future__ import annotations

from pydantic import Field

from haizea.api.answers import Answer, ReasonCode, ReasonParameters, Resources, When


class HostOut(Answer):
    """A host as it is now."""

    id: int
    name: str
    status: str = Field(description="`up`, `down` or `drained`.", examples=["up"])
    reason: str
    reason_code: ReasonCode
    reason_parameters: ReasonParameters
    resources: Resources
    used: Resources
    others: Resources = Field(
        description="The part of `used` that no lease holds: others than Haizea use it."
    )
    leases: list[int] = Field(
        description="The leases that hold some of it now. A user is shown own leases."
    )
    suspend_rate: float | None = Field(
        description="MB/s, as learned of this host; `null`: as configured."
    )
    resume_rate: float | None = Field(
        description="MB/s, as learned of this host; `null`: as configured."
    )


class LearnedOut(Answer):
    """The time that an operation takes, as was learned."""

    operation: str = Field(
        description="`copy from` (a store of images), `boot of` (a template), `boot on` (a host)"
        " or `end of` (VMs with images from a store).",
        examples=["copy from"],
    )
    of: str = Field(examples=["default (ssh)"])
    times: int = Field(description="Number of the latest ones that it was learned from.")
    size_mb: int = Field(description="The size of image that the seconds are for; 0: any.")
    usual_seconds: int = Field(description="The median of them.")
    planned_seconds: int = Field(description="Most that is planned for one.")


class HostList(Answer):
    """All hosts."""

    hosts: list[HostOut]
    learned: list[LearnedOut] = Field(
        description="Times that operations on VMs take, as far as was learned."
    )


class UseEntry(Answer):
    """Use of a host, from this moment to that of the next entry."""

    time: When
    used: Resources


class HostUseOut(Answer):
    """The use of a host over time."""

    host: str
    resources: Resources
    since: When
    until: When = Field(description="Up to when the answer goes; ask on from there if it is early.")
    use: list[UseEntry]
