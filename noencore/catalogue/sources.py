"""The sources of the user's own audio, by the name that the config's `catalogue.source` gives.

A source is a pair of functions: `list_...(settings, name)` makes the listing and raises UserError where what the config
names is not there; `manifest_of(settings)` is the table that the listing is read from, or None. Sources that fetch are
given a third argument, what is known of the fetched files.
"""

import hashlib

import pandas as pd

from noencore.catalogue import folder, manifest, musiccaps, pond5, song_describer
from noencore.catalogue.wanted import Fetched

SOURCES = {
    "folder": (folder.list_folder, folder.manifest_of),
    "csv": (manifest.list_manifest, manifest.manifest_of),
    "song_describer": (song_describer.list_song_describer, song_describer.manifest_of),
}
FETCHING = {
    "musiccaps": (musiccaps.list_musiccaps, musiccaps.manifest_of),
    "pond5": (pond5.list_pond5, pond5.manifest_of),
}
MIN_USABLE = 0.5  # share of recordings, where the config does not say


def parts(settings):
    """The sources of a config's `catalogue`, by name: those of `parts` where it is `several`, else the one."""
    return settings["parts"] if settings["source"] == "several" else {settings["source"]: settings}


def fetching_parts(settings):
    """Those of `parts` whose audio is fetched."""
    return {name: part for name, part in parts(settings).items() if part["source"] in FETCHING}


def list_source(settings, fetched=None):
    """The listing of all parts of a config's `catalogue`; the column `source` has the name of each.

    fetched: a Fetched for each of `fetching_parts`, or None where nothing is fetched yet; their files then count as
    there.
    """
    listings = [_list_part(part, name, fetched or {}) for name, part in parts(settings).items()]
    listing = pd.concat(listings, ignore_index=True)
    extra = [name for name in listing if listing[name].isna().any() and name not in ("start", "duration")]
    return listing.fillna(dict.fromkeys(extra, ""))


def _list_part(part, name, fetched):
    if part["source"] in FETCHING:
        return FETCHING[part["source"]][0](part, name, fetched.get(name, Fetched()))
    return SOURCES[part["source"]][0](part, name)


def manifests(settings):
    """Paths of the tables that the listing is read from."""
    found = [(SOURCES | FETCHING)[part["source"]][1](part) for part in parts(settings).values()]
    return [str(path) for path in found if path is not None]


def listing_digest(settings):
    """`<rows>-<16 hex digits>` over all that the listing says: names, sizes, metadata; not times, not where it lies."""
    rows = list_source(settings).drop(columns="root")
    rows = rows.sort_values(list(rows.columns), ignore_index=True)
    hashed = pd.util.hash_pandas_object(rows[sorted(rows)], index=False).to_numpy()
    digest = hashlib.sha256(",".join(sorted(rows)).encode() + hashed.tobytes()).hexdigest()[:16]
    return f"{len(rows)}-{digest}"
