# SPDX-License-Identifier: Apache-2.0
"""An image of busybox as registries have it: an OCI layout in a tar file, made without other tools."""
import gzip
import hashlib
import io
import json
import os
import tarfile

from bundle import make_root

REFERENCE = "docker.io/local/busybox:latest"
INDEX, MANIFEST = "application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json"
CONFIG, LAYER = "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip"


def layer_of(folder):
    """The tar file of a folder's content."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(os.listdir(folder)):
            tar.add(os.path.join(folder, name), arcname=name)
    return out.getvalue()


class Layout:
    def __init__(self, path):
        self.tar = tarfile.open(path, "w")

    def put(self, name, data):
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), 0o644
        self.tar.addfile(info, io.BytesIO(data))

    def blob(self, kind, data):
        """Its descriptor."""
        digest = hashlib.sha256(data).hexdigest()
        self.put("blobs/sha256/" + digest, data)
        return {"mediaType": kind, "digest": "sha256:" + digest, "size": len(data)}


def make_image(path, scratch):
    """Write the tar file."""
    layer = layer_of(make_root(scratch))
    layout = Layout(path)
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
              "config": {"Env": ["PATH=/bin", "FROM_IMAGE=yes"], "Cmd": ["/bin/sh"], "WorkingDir": "/"}}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": layout.blob(CONFIG, json.dumps(config).encode()),
                "layers": [layout.blob(LAYER, gzip.compress(layer, 1, mtime=0))]}
    entry = layout.blob(MANIFEST, json.dumps(manifest).encode())
    entry["annotations"] = {"io.containerd.image.name": REFERENCE, "org.opencontainers.image.ref.name": "latest"}
    layout.put("index.json", json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}).encode())
    layout.put("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
    layout.tar.close()
    return path
