"""A simulated registry: what the Kruispuntbank Inburgering might deliver, with no real person in it.

Here: everything that makes deliveries out of a seed. Not here: anything that reads them. The package follows the
delivery contract and shares no code with the validator or the warehouse, so that they can be tried on it.

Flow: ``trajectories`` (who signs) → ``social_orientation``, ``dutch`` (careers) → ``persons``, ``contracts``,
``attendance``, ``tracks`` (rows, and when the registry shows them) → ``registry`` (a batch) → ``dirt`` (damage) →
``deliveries`` (files). All figures are in ``parameters``.
"""

from orchestration.simulation.deliveries import delivery_dates, simulate

__all__ = ["delivery_dates", "simulate"]
