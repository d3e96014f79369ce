"""The Song Describer dataset as it is published: song_describer.csv beside the folder that audio.zip unpacks to.

706 tracks of two minutes with 1,106 captions; `artist_id` is the opt-out key (Manco et al., arXiv 2311.10057). The
audio of track path `34/1004034.mp3` is `audio/34/1004034.2min.mp3`.
"""

from pathlib import Path

from noencore.catalogue.listing import make_listing, place_files
from noencore.catalogue.tables import check_columns, read_table
from noencore.errors import UserError

COLUMNS = ("track_id", "caption", "artist_id", "album_id", "path")
LICENCE = "captions: CC BY-SA 4.0; audio: Creative Commons, see audio_licenses.txt"


def manifest_of(settings):
    """The table of captions."""
    return Path(settings["path"]) / "song_describer.csv"


def list_song_describer(settings, name="song_describer"):
    """The listing of settings["path"]. Raises UserError where the table, its columns or the audio folder is missing."""
    path = manifest_of(settings)
    table = read_table(path)
    check_columns(table, COLUMNS, path)
    root = path.parent / "audio"
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; unpack the dataset's audio.zip there")
    long, short = table["path"], table["path"].str.replace(r"\.mp3$", ".2min.mp3", regex=True)
    places, full = place_files(short, root), place_files(long, root)
    places = full.where(places["status"].isin(["missing"]) & (full["status"] == ""), places)
    rows = table[["caption"]].assign(
        artist=table["artist_id"], title="track " + table["track_id"], album=table["album_id"], licence=LICENCE
    )
    return make_listing(name, root, rows, places)
