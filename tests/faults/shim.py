# SPDX-License-Identifier: Apache-2.0
"""containerd with its own shim, as tests/pod/containerd_test drives it, for those that want more of it than its cases."""
import importlib.machinery
import importlib.util
import os

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "pod", "containerd_test")


def start(world):
    """A containerd of the world's, to be closed. Skip: there is none here."""
    loader = importlib.machinery.SourceFileLoader("containerd_test", PROGRAM)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("containerd_test", loader))
    loader.exec_module(module)
    containerd = module.ContainerdWorld(world.folder("shim"))
    try:
        containerd.prepare()
    except BaseException:
        containerd.close()
        raise
    containerd.networks = []
    containerd.tag += "s"  # so that what is the world's own is not taken for its
    return containerd
