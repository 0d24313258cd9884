"""Matchmaking: which hosts a VM may run on, which of them it prefers, and why not others.

A :class:`Matchmaker` is made for one look at the pools. VMs with the same expressions share
their answers, so that thousands of VMs cost little more than their different expressions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from haizea.backends.opennebula.expressions.errors import ExpressionError, printable
from haizea.backends.opennebula.expressions.language import (
    Comparison,
    Condition,
    Requirement,
    parse_rank,
    parse_requirement,
)
from haizea.backends.opennebula.expressions.table import HOST_PLACES, AttributeTable, Ranking
from haizea.backends.opennebula.matching.groups import GroupRules
from haizea.backends.opennebula.matching.needs import VmNeeds
from haizea.backends.opennebula.model.host import HostInfo
from haizea.backends.opennebula.model.pools import VmGroup
from haizea.core.model.hosts import HostSet

_MOST_CONDITIONS = 3
_MOST_CHARACTERS = 80

_NOTHING_PLACED: Mapping[int, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeNames:
    """Names that the VM's owner uses for the attributes with the expressions."""

    requirements: str = "SCHED_REQUIREMENTS"
    rank: str = "SCHED_RANK"


#: As OpenNebula 1.4 has them.
OLD_NAMES = AttributeNames(requirements="REQUIREMENTS", rank="RANK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """The places where a VM may run.

    ``hosts`` are the hosts that suit it, whatever room they have, and ``ranking`` orders
    them. ``error`` is what the owner wrote wrongly: nothing suits a VM whose requirements
    are wrong, and one whose rank is wrong has the default one. ``reason`` says why no host
    suits; it is ``None`` if some do.
    """

    hosts: HostSet
    ranking: Ranking
    error: str | None = None
    reason: str | None = None

    def tiers(self) -> Iterator[HostSet]:
        """The hosts that suit, in sets of equally good ones, the best first."""
        return self.ranking.among(self.hosts)


@dataclass(frozen=True, slots=True)
class _Suiting:
    """The usable hosts that meet requirements, or what is wrong with these, or why none does."""

    hosts: HostSet
    error: str | None = None
    reason: str | None = None


class Matchmaker:
    """Answers for one state of the pools. Index *i* of a host set is ``hosts[i]``."""

    def __init__(
        self,
        hosts: Sequence[HostInfo],
        groups: Iterable[VmGroup] = (),
        default_rank: str = "-RUNNING_VMS",
        names: AttributeNames | None = None,
    ) -> None:
        """``default_rank`` is for VMs without a rank.

        :raises ExpressionError: the default rank is none.
        """
        self.hosts = tuple(hosts)
        self.rules = GroupRules(groups, [host.id for host in self.hosts])
        self._names = names or AttributeNames()
        self._table = AttributeTable([host.attributes for host in self.hosts], HOST_PLACES)
        self.usable: HostSet = 0
        for index, host in enumerate(self.hosts):
            self.usable |= host.usable << index
        self.default_ranking = self._table.ranking(parse_rank(default_rank, "the default rank"))
        self._suiting: dict[tuple[str, str], _Suiting] = {}
        self._rankings: dict[str, Ranking | ExpressionError] = {}

    def match(self, vm: VmNeeds, placed: Mapping[int, int] = _NOTHING_PLACED) -> Match:
        """Find where the VM may run, its groups' other VMs being where ``placed`` says.

        ``placed`` is from VM to host, by OpenNebula's identifiers.
        """
        ranking, rank_error = self._ranking(vm.rank)
        key = (vm.automatic_requirements, vm.requirements)
        suiting = self._suiting.get(key)
        if suiting is None:
            suiting = self._suiting[key] = self._find(*key)
        if suiting.hosts:
            suiting = self._limited(suiting.hosts, vm, placed)
        return Match(
            hosts=suiting.hosts,
            ranking=ranking,
            error=suiting.error or rank_error,
            reason=suiting.reason,
        )

    def meeting(self, condition: str) -> HostSet:
        """The hosts that meet a condition as a VM's requirements would have it. Any thread may ask.

        :raises ExpressionError: the text is not a condition.
        """
        requirement = parse_requirement(condition, "the condition")
        # The table that matches are found by remembers answers, for one thread.
        table = AttributeTable([host.attributes for host in self.hosts], HOST_PLACES)
        return self.usable & table.matching(requirement)

    def mistake(self, requirements: str, rank: str) -> str:
        """The mistake in a VM owner's expressions, whatever hosts there are; or nothing."""
        if requirements.strip():
            try:
                parse_requirement(requirements, self._names.requirements)
            except ExpressionError as error:
                return str(error)
        return self._ranking(rank)[1] or ""

    def match_all(
        self, vms: Iterable[VmNeeds], placed: Mapping[int, int] = _NOTHING_PLACED
    ) -> dict[int, Match]:
        """Find where each of the VMs may run, by its identifier.

        Those that must be on one host are given hosts that suit them all.
        """
        matches = {vm.id: self.match(vm, placed) for vm in vms}
        for vm in matches:
            together = sorted(self.rules.together(vm) & matches.keys())
            if len(together) > 1 and together[0] == vm:
                self._unite(together, matches)
        return matches

    def _unite(self, together: Sequence[int], matches: dict[int, Match]) -> None:
        """Leave the VMs the hosts that suit all of them."""
        common = self.usable
        for vm in together:
            common &= matches[vm].hosts
        listed = ", ".join(map(str, together[:10])) + (", …" if len(together) > 10 else "")
        reason = None if common else f"no host suits all of VMs {listed}, which must be on one"
        for vm in together:
            match = matches[vm]
            matches[vm] = replace(match, hosts=common, reason=match.reason or reason)

    def _ranking(self, rank: str) -> tuple[Ranking, str | None]:
        if not rank.strip():
            return self.default_ranking, None
        found = self._rankings.get(rank)
        if found is None:
            try:
                found = self._table.ranking(parse_rank(rank, self._names.rank))
            except ExpressionError as error:
                found = error
            self._rankings[rank] = found
        if isinstance(found, ExpressionError):
            return self.default_ranking, str(found)
        return found, None

    def _find(self, automatic: str, own: str) -> _Suiting:
        if not self.usable:
            return _Suiting(0, None, self._unusable())
        hosts = self.usable
        for text, name in ((automatic, "AUTOMATIC_REQUIREMENTS"), (own, self._names.requirements)):
            try:
                requirement = parse_requirement(text, name)
            except ExpressionError as error:
                return _Suiting(0, str(error), str(error))
            met = hosts & self._table.matching(requirement)
            if not met:
                return _Suiting(0, None, self._unmet(name, requirement, hosts))
            hosts = met
        return _Suiting(hosts)

    def _limited(self, hosts: HostSet, vm: VmNeeds, placed: Mapping[int, int]) -> _Suiting:
        """The hosts that the VM's own situation and its groups leave."""
        contradiction = self.rules.contradiction(vm.id)
        if contradiction:
            return _Suiting(0, contradiction, contradiction)
        if vm.leaving_host_id is not None:
            hosts &= ~self._index(vm.leaving_host_id)
            if not hosts:
                return _Suiting(0, None, "no host suits the VM but the one that it must leave")
        limit = self.rules.limit(vm.id, placed)
        hosts &= limit.hosts
        if not hosts:
            return _Suiting(0, None, f"VM groups leave no host: {'; '.join(limit.reasons)}")
        return _Suiting(hosts)

    def _index(self, host_id: int) -> HostSet:
        return next((1 << i for i, host in enumerate(self.hosts) if host.id == host_id), 0)

    def _unusable(self) -> str:
        if not self.hosts:
            return "there are no hosts"
        return f"no host can be used: all {len(self.hosts)} are disabled, failed or not monitored"

    def _unmet(self, name: str, requirement: Requirement, hosts: HostSet) -> str:
        """Describe how many of the hosts fail which condition, the most decisive first."""
        failing = [
            ((hosts & ~self._table.meeting(condition)).bit_count(), position, condition)
            for position, condition in enumerate(requirement.conjuncts())
        ]
        failing.sort(key=lambda one: (-one[0], one[1]))
        told = [
            f"{count} fail {_shortened(condition)}{self._absent(condition)}"
            for count, _, condition in failing[:_MOST_CONDITIONS]
            if count
        ]
        return f"no host meets {name}: of {hosts.bit_count()} hosts, {', '.join(told)}"

    def _absent(self, condition: Condition) -> str:
        """A remark if the condition fails because no host has the attribute."""
        if not isinstance(condition, Comparison) or condition.attribute in HOST_PLACES.members:
            return ""
        if any(self._table.texts(condition.attribute)):
            return ""
        return f" (no host has {condition.attribute})"


def _shortened(condition: Condition) -> str:
    text = printable(str(condition))
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"
