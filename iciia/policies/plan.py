"""Where every image of a chunk goes, worked out before anything is attended to."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.policies.base import Arrival, Evidence, Policy, Slots


@dataclass(frozen=True)
class Plan:
    """What happens in the banks while a chunk arrives.

    Args:
        visible: Whether target t may attend to an image, bool [K, T, N + T] or [1, T, N + T] if it is the same for all clients,
            over the bank's slots followed by the arriving images: to itself and to what its bank holds when it arrives.
        client: Rows of the clients of the images that are in a bank after the chunk and were not before, int64 [P], ascending;
            None if they are the same for all clients.
        slot: Their slots, int64 [P].
        arrival: Their places in the chunk, int64 [P].
    """

    visible: Tensor
    client: Tensor | None
    slot: Tensor
    arrival: Tensor

    def alone(self) -> Tensor:
        """Which targets meet an empty bank, bool [K or 1, T]."""
        return self.visible.sum(dim=2) == 1

    def of(self, some: slice) -> Tensor:
        """`visible` of some clients."""
        return self.visible if len(self.visible) == 1 else self.visible[some]


@dataclass(frozen=True)
class FifoKeeper:
    """The latest images of clients that have all seen the same number: image t lies in slot t mod N, the plan is the same for all
    clients and nothing has to be stepped through.

    Args:
        capacity: N.
        seen: Images that each client has seen.
        device: Where plans are wanted.
        alarms: It detects nothing.
    """

    capacity: int
    seen: int = 0
    device: torch.device | None = None
    alarms: None = None

    def plan(self, evidence: Evidence) -> tuple[Plan, "FifoKeeper"]:
        """The plan of the images that arrive next, and the keeper after them."""
        targets, capacity = evidence.targets, self.capacity
        later = torch.arange(targets, device=self.device)
        age = later.unsqueeze(1) - later
        visible = (age >= 0) & (age <= capacity)
        if capacity:
            old = self.steps()
            held = (old >= 0) & (old >= later.unsqueeze(1) + self.seen - capacity)
            visible = torch.cat([held, visible], dim=1)
        staying = min(targets, capacity)
        arrival = later[targets - staying :]
        slot = (arrival + self.seen) % max(1, capacity)
        return Plan(visible.unsqueeze(0), None, slot, arrival), replace(self, seen=self.seen + targets)

    def steps(self) -> Tensor:
        """Step at which each slot's image arrived, [N]; negative where the slot is free."""
        latest = self.seen - 1
        return latest - (latest - torch.arange(self.capacity, device=self.device)) % max(1, self.capacity)


class PolicyKeeper:
    """Banks under any policy, stepped through for all clients at once.

    Args:
        policy: The policy.
        slots: What is known of the images in the banks.
        clients: Client numbers, int64 [K].
        seed: The scenario's seed.
        seen: Images that each client has seen.
        device: Where plans are wanted.
        alarms: At which images of the latest chunk the policy said that the classes had changed, bool [K, T]; None if it does not
            detect that.
    """

    def __init__(
        self,
        policy: Policy,
        slots: Slots,
        clients: NDArray[np.int64],
        seed: int,
        seen: int = 0,
        device: torch.device | None = None,
        alarms: NDArray[np.bool_] | None = None,
    ) -> None:
        self.policy = policy
        self.slots = slots
        self.clients = clients
        self.seed = seed
        self.seen = seen
        self.device = device
        self.alarms = alarms

    @property
    def capacity(self) -> int:
        """N."""
        return self.slots.step.shape[1]

    def steps(self) -> Tensor:
        """Step at which each slot's image arrived, [K, N]; negative where the slot is free."""
        return torch.from_numpy(self.slots.step.astype(np.int64)).to(self.device)

    def plan(self, evidence: Evidence) -> tuple[Plan, "PolicyKeeper"]:
        """The plan of the images that arrive next, and the keeper after them, which takes over this one's slots."""
        num_clients, capacity = self.slots.step.shape
        targets = evidence.targets
        if capacity == 0:
            visible = torch.eye(targets, dtype=torch.bool, device=self.device).unsqueeze(0)
            nothing = torch.zeros(0, dtype=torch.int64, device=self.device)
            return Plan(visible, None, nothing, nothing), self._after(targets)
        alive = np.zeros((num_clients, capacity + targets), dtype=np.bool_)
        alive[:, :capacity] = self.slots.step >= 0
        occupant = np.tile(np.arange(capacity), (num_clients, 1))
        met = np.empty((num_clients, targets, capacity + targets), dtype=np.bool_)
        alarms = []
        for t in range(targets):
            met[:, t] = alive
            met[:, t, capacity + t] = True
            alarms.append(self._step(Arrival(evidence, t, self.seen + t, self.clients, self.seed), alive, occupant))
        client, slot = np.nonzero(occupant >= capacity)
        parts = (met, client, slot, occupant[client, slot] - capacity)
        plan = Plan(*(torch.from_numpy(np.ascontiguousarray(part)).to(self.device) for part in parts))
        raised = [alarm for alarm in alarms if alarm is not None]
        return plan, self._after(targets, np.stack(raised, axis=1) if raised else None)

    def _after(self, targets: int, alarms: NDArray[np.bool_] | None = None) -> "PolicyKeeper":
        return PolicyKeeper(self.policy, self.slots, self.clients, self.seed, self.seen + targets, self.device, alarms)

    def _step(
        self, arrival: Arrival, alive: NDArray[np.bool_], occupant: NDArray[np.int64]
    ) -> NDArray[np.bool_] | None:
        """Lets images go and puts the arriving ones into their slots. Whose subset the policy says has changed."""
        slots = self.slots
        leaving = self.policy.forget(slots, arrival)
        alarms = self.policy.alarms(slots, arrival)
        if leaving is not None and leaving.any():
            rows, gone = np.nonzero(leaving)
            alive[rows, occupant[rows, gone]] = False
            slots.step[rows, gone] = -1
        free = slots.step < 0
        slot, full = free.argmax(axis=1), ~free.any(axis=1)
        if full.any():
            slot = np.where(full, self.policy.evict(slots, arrival), slot)
        rows = np.flatnonzero(slot >= 0)
        slot = slot[rows]
        alive[rows, occupant[rows, slot]] = False
        occupant[rows, slot] = self.capacity + arrival.position
        alive[rows, self.capacity + arrival.position] = True
        slots.step[rows, slot] = arrival.step
        for name, record in slots.records.items():
            record[rows, slot] = getattr(arrival, name)[rows]
        self.policy.placed(slots, arrival, rows, slot)
        return alarms


Keeper = FifoKeeper | PolicyKeeper
