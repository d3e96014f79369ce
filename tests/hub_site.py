"""The hub on this machine: a repository served as huggingface_hub asks for it."""

import hashlib
import json

from standins import REVISION
from websites import Answer


def serve_hub(site, repository, folder, said=None):
    """Serve the files of a folder. said: dict file name -> the sha256 that the hub gives for it, where not its own."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    about = {"id": repository, "sha": REVISION, "siblings": [{"rfilename": path.name} for path in files]}
    tree = [{"type": "file", "path": path.name, "size": path.stat().st_size, "oid": "0" * 40} for path in files]
    for place, content in (("revision/main", about), (f"tree/{REVISION}", tree)):
        answer = Answer(json.dumps(content).encode(), "application/json")
        site.serve(f"/api/models/{repository}/{place}", answer)
    for path in files:
        body = path.read_bytes()
        digest = (said or {}).get(path.name) or hashlib.sha256(body).hexdigest()
        head = {"ETag": f'"{digest}"', "X-Repo-Commit": REVISION}
        answer = Answer(body, "application/octet-stream", headers=head)
        site.serve(f"/{repository}/resolve/{REVISION}/{path.name}", answer)
