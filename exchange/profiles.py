"""Profiles: who one is and where the venue is, as one TOML file that only its owner may read.

    member = "ACME"
    public_key = "…"        # 40 characters of Z85 each (CURVE)
    secret_key = "…"
    server_key = "…"

    [endpoints]
    orders = "tcp://127.0.0.1:7001"
    query = "tcp://127.0.0.1:7002"
    feed = "tcp://127.0.0.1:7003"
    refresh = "tcp://127.0.0.1:7004"

An operator hands it out; `connect_sync` takes its name or path.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path

import msgspec

from exchange.client.errors import ProfileError
from exchange.protocol.curve import is_key

VENUE_VARIABLE = "BOURSE_VENUE"
"""The environment variable that names a venue's data folder."""

VENUE_DEFAULT = Path("data/venue")
"""The venue's data folder where the variable names none, below the working directory."""

PROFILES_NAMED_MAX = 6
"""How many of the profiles that are there are named to who names another."""

SECRET_MODE = 0o600

_ENDPOINT = re.compile(r"tcp://[!-~]+:\d{1,5}", re.ASCII)
_KEYS = ("public_key", "secret_key", "server_key")


class Endpoints(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The venue's public sockets, each `tcp://host:port`; blank where there is none."""

    orders: str
    query: str = ""
    feed: str = ""
    refresh: str = ""


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A member's name and keys (Z85), the venue's key and endpoints."""

    member: str
    public_key: str
    secret_key: str
    server_key: str
    endpoints: Endpoints

    def __repr__(self) -> str:
        return f"Profile(member={self.member!r}, endpoints={self.endpoints!r})"

    def fault(self) -> str:
        """Return what is wrong with the profile and what to do, without telling a key; or nothing."""
        if not self.member.isprintable() or not self.member:
            return f"member {self.member!r} is no name; write the member's name"
        for name in _KEYS:
            if not is_key(getattr(self, name)):
                return f"{name} is no CURVE key; write its 40 characters of Z85"
        for name in Endpoints.__struct_fields__:
            endpoint = getattr(self.endpoints, name)
            if (endpoint or name == "orders") and not _ENDPOINT.fullmatch(endpoint):
                return f"endpoints.{name} {endpoint!r} is no endpoint; write tcp://host:port"
        return ""


def load_profile(name_or_path: str | os.PathLike[str]) -> Profile:
    """Return the profile of a file, or of a name: `keys/<name>.toml` in the venue's data folder.

    An existing file is taken as it is. A bare name is looked for in the folder that `BOURSE_VENUE`
    names, else in `./data/venue`. Raises `ProfileError` that names the file and the remedy.
    """
    path = find_profile(name_or_path)
    try:
        if os.stat(path).st_mode & 0o077:
            raise ProfileError(
                f"profile {path} holds a secret key, and others may read it",
                field="mode",
                value=path,
                remedy=f"chmod 600 {path}",
            )
        profile = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Profile)
    except OSError as error:
        raise ProfileError(
            f"profile {path} cannot be read ({error.strerror})",
            value=path,
            remedy="let its owner run this",
        ) from error
    except (ValueError, RecursionError) as error:  # TOML, UTF-8 and msgspec: all of them say where
        raise ProfileError(
            f"profile {path} is not well written ({error})",
            value=path,
            remedy="mend the file, or ask the operator for a new one",
        ) from error
    if fault := profile.fault():
        raise ProfileError(f"profile {path}: {fault}", value=path)
    return profile


def find_profile(name_or_path: str | os.PathLike[str]) -> Path:
    """Return the file that `load_profile` would read. Raises `ProfileError` if there is none."""
    given = Path(name_or_path)
    if given.is_file():
        return given
    text = str(given)
    if given.name != text or given.suffix == ".toml":
        raise ProfileError(
            f"there is no profile {text}",
            value=text,
            remedy="give the path of an existing file, or the bare name of a profile",
        )
    named = os.environ.get(VENUE_VARIABLE)
    path = (Path(named) if named else VENUE_DEFAULT) / "keys" / f"{text}.toml"
    if path.is_file():
        return path
    there = sorted(each.stem for each in path.parent.glob("*.toml"))
    names = ", ".join(there[:PROFILES_NAMED_MAX]) + (" ..." if len(there) > PROFILES_NAMED_MAX else "")
    raise ProfileError(
        f"there is no profile {text!r}: looked for {path.absolute()}",
        value=text,
        remedy=f"name one that is there ({names}), or give a profile's path"
        if there
        else f"set {VENUE_VARIABLE} to the venue's data folder, or give the profile's path",
    )


def write_profile(path: str | os.PathLike[str], profile: Profile) -> None:
    """Write a profile, readable by its owner alone: aside, synced, then renamed into its place.

    Raises `ProfileError` for a profile that could not be read again, `OSError` where the disk fails.
    """
    if fault := profile.fault():
        raise ProfileError(f"profile for {path}: {fault}", value=path)
    target = Path(path)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)  # left by a process that died with this number
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET_MODE)
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(as_toml(profile))
            file.flush()
            os.fsync(file.fileno())
        aside.replace(target)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def as_toml(profile: Profile) -> str:
    """Return the text of a profile's file. A JSON string without control characters is a TOML one."""
    fields = ("member", *_KEYS)
    lines = [f"{name} = {_quoted(getattr(profile, name))}" for name in fields]
    lines += ["", "[endpoints]"]
    lines += [f"{name} = {_quoted(getattr(profile.endpoints, name))}" for name in Endpoints.__struct_fields__]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
