"""A member's key changed without a moment in which it has none: five steps, each of which may be done again.

The new key lies in `FILE.new` before the venue knows it, and takes the place of `FILE` when the venue has let
it in. The old profile then lies in `FILE.old` until its key is revoked. So the files tell how far it came.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from exchange.client.errors import AccessDenied, ProfileError
from exchange.client.sync import connect_sync
from exchange.profiles import Profile, load_profile, write_profile
from exchange.protocol.acts import RegisterKey, RevokeKey


class Rotated(NamedTuple):
    """What a rotation came to."""

    member: str
    path: Path
    public_key: str
    revoked: str


class Rotation:
    """The rotation of the key in one profile's file. `why` stands in the journal."""

    def __init__(self, path: Path, why: str) -> None:
        self.path = path
        self.new = path.with_name(path.name + ".new")
        self.old = path.with_name(path.name + ".old")
        self._why = why

    def run(self) -> Rotated:
        """Do all that is not done yet. Raises what its steps raise; run again, it goes on from there.

        A run that finds a rotation half done ends that one, and begins no other.
        """
        own = load_profile(self.path)
        if self.new.exists() or not self._is_swapped(own):
            fresh = self._make(own)
            self._register(own, fresh)
            self._prove(fresh)
            self._swap(own)
        fresh, old = load_profile(self.path), load_profile(self.old)
        assert fresh.public_key != old.public_key, "the key in use is not revoked"
        self._revoke(fresh, old)
        self.old.unlink()
        return Rotated(fresh.member, self.path, fresh.public_key, old.public_key)

    def _is_swapped(self, own: Profile) -> bool:
        """Tell whether a rotation has come as far as to the new profile, and the old key may still live."""
        return self.old.exists() and load_profile(self.old).public_key != own.public_key

    def _make(self, own: Profile) -> Profile:
        """Return the profile with the new key, made and written down now or before."""
        if self.new.exists():
            fresh = load_profile(self.new)
            if fresh.member != own.member:
                raise ProfileError(
                    f"profile {self.new} is {fresh.member}'s, not {own.member}'s",
                    value=self.new,
                    remedy="move it away, and rotate again",
                )
            return fresh
        from exchange.server.folder import new_key_pair

        pair = new_key_pair(own.member)
        fresh = replace(own, public_key=pair.public_key, secret_key=pair.secret_key)
        write_profile(self.new, fresh)
        return fresh

    def _register(self, own: Profile, fresh: Profile) -> None:
        """Have the new key registered by the old one, unless it is. An old key that is gone has done so."""
        try:
            with connect_sync(own) as exchange:
                (holder,) = exchange.keys(own.member)
                if fresh.public_key not in holder.public_keys:
                    exchange.act(RegisterKey(own.member, fresh.public_key), self._why)
        except AccessDenied:
            self._prove(fresh)

    def _prove(self, fresh: Profile) -> None:
        """Log on with the new key. Raises `AccessDenied`, or `ProfileError` if it speaks for another."""
        with connect_sync(fresh) as exchange:
            if exchange.member != fresh.member:
                raise ProfileError(
                    f"the venue takes the key of {self.new} for {exchange.member}'s",
                    value=self.new,
                    remedy="remove that file, and rotate again",
                )

    def _swap(self, own: Profile) -> None:
        """Lay the old profile aside, and put the new one into its place."""
        write_profile(self.old, own)
        self.new.replace(self.path)

    def _revoke(self, fresh: Profile, old: Profile) -> None:
        """Have the old key revoked by the new one, unless it is."""
        with connect_sync(fresh) as exchange:
            (holder,) = exchange.keys(fresh.member)
            if old.public_key in holder.public_keys:
                exchange.act(RevokeKey(old.public_key), self._why)
