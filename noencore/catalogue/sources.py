"""The sources of the user's own audio, by the name that the config's `catalogue.source` gives.

A source is a pair of functions: `list_...(settings, name)` makes the listing and raises UserError where what the config
names is not there; `manifest_of(settings)` is the table that the listing is read from, or None.
"""

import hashlib

import pandas as pd

from noencore.catalogue import folder, manifest, song_describer

SOURCES = {
    "folder": (folder.list_folder, folder.manifest_of),
    "csv": (manifest.list_manifest, manifest.manifest_of),
    "song_describer": (song_describer.list_song_describer, song_describer.manifest_of),
}
MIN_USABLE = 0.5  # share of recordings, where the config does not say


def parts(settings):
    """The sources of a config's `catalogue`, by name: those of `parts` where it is `several`, else the one."""
    return settings["parts"] if settings["source"] == "several" else {settings["source"]: settings}


def list_source(settings):
    """The listing of all parts of a config's `catalogue`; the column `source` has the name of each."""
    listings = [SOURCES[part["source"]][0](part, name) for name, part in parts(settings).items()]
    listing = pd.concat(listings, ignore_index=True)
    extra = [name for name in listing if listing[name].isna().any() and name not in ("start", "duration")]
    return listing.fillna(dict.fromkeys(extra, ""))


def manifests(settings):
    """Paths of the tables that the listing is read from."""
    found = [SOURCES[part["source"]][1](part) for part in parts(settings).values()]
    return [str(path) for path in found if path is not None]


def listing_digest(settings):
    """16 hex digits over all that the listing says: names, sizes and metadata, not times and not the folder's place."""
    rows = list_source(settings).drop(columns="root")
    rows = rows.sort_values(list(rows.columns), ignore_index=True)
    hashed = pd.util.hash_pandas_object(rows[sorted(rows)], index=False).to_numpy()
    return hashlib.sha256(",".join(sorted(rows)).encode() + hashed.tobytes()).hexdigest()[:16]
