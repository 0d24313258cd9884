"""An OpenNebula to try things on: its XML-RPC, state machine, events and mistakes, without a cloud.

:func:`haizea.sandbox.server.serve` runs one until it is interrupted, ``python -m
haizea.sandbox`` does so from a shell, and :class:`haizea.sandbox.server.Sandbox` is one for
a ``with`` statement.
"""
