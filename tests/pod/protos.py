# SPDX-License-Identifier: Apache-2.0
"""The messages of common/proto/ for Python: compiled by protoc when a test begins, into a folder of that run.

Fails with words where protoc or python3-protobuf are missing. Only the system's own Python has the latter.
"""
import os
import shutil
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
FOLDER = os.path.join(ROOT, "common", "proto")
LABEL_REPEATED = 3


class Missing(Exception):
    """What it takes to read .proto files is not here."""


def protoc(arguments, folder=FOLDER):
    program = shutil.which("protoc")
    if program is None:
        raise Missing("no protoc here: 'scripts/packages install build' brings it (protobuf-compiler)")
    done = subprocess.run([program, *arguments], cwd=folder, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Missing(f"protoc fails in {folder}: {done.stderr.strip()}")


def load(scratch):
    """Compile into the folder; returns an object with the modules agent, oci, types, health and ttrpc."""
    out = os.path.join(scratch, "proto")
    os.makedirs(out, exist_ok=True)
    names = ("agent", "oci", "types", "health", "ttrpc")
    protoc([f"--python_out={out}", *(n + ".proto" for n in names)])
    sys.path.insert(0, out)
    try:
        modules = {n: __import__(n + "_pb2") for n in names}
    except ImportError as e:
        raise Missing(f"{e}: 'scripts/packages install build' brings python3-protobuf, for /usr/bin/python3") from None
    finally:
        sys.path.remove(out)
    return type("Protos", (), modules)


# ---- Facts: what kata-protocol.txt is made of -----------------------------------------------------------------------


def _field(message, f, types):
    label = "repeated " if f.label == LABEL_REPEATED else "optional " if f.proto3_optional else ""
    kind = f.type_name.lstrip(".") if f.type_name else types[f.type]
    oneof = ""
    if f.HasField("oneof_index") and not f.proto3_optional:
        oneof = f" oneof {message[1].oneof_decl[f.oneof_index].name}"
    return f"field {message[0]} {f.number} {f.name} {label}{kind}{oneof}"


def _enum(package, e):
    return [f"enum {package}.{e.name} {v.number} {v.name}" for v in e.value]


def _message(package, m, types):
    name = f"{package}.{m.name}"
    found = [f"message {name}"] + [_field((name, m), f, types) for f in m.field]
    for e in m.enum_type:
        found += _enum(name, e)
    for inner in m.nested_type:
        found += _message(name, inner, types)
    return found


def facts(folder, scratch, roots=("agent.proto", "health.proto")):
    """Sorted lines in the form of kata-protocol.txt for the files and what they import."""
    try:
        from google.protobuf import descriptor_pb2  # pylint: disable=import-outside-toplevel
    except ImportError:
        raise Missing("no python3-protobuf for this Python: run with /usr/bin/python3") from None
    path = os.path.join(scratch, "descriptors")
    protoc(["--include_imports", f"--descriptor_set_out={path}", *roots], folder)
    files = descriptor_pb2.FileDescriptorSet()
    with open(path, "rb") as f:
        files.ParseFromString(f.read())
    types = {number: name[len("TYPE_") :].lower() for name, number in descriptor_pb2.FieldDescriptorProto.Type.items()}
    found = []
    for f in files.file:
        for e in f.enum_type:
            found += _enum(f.package, e)
        for m in f.message_type:
            found += _message(f.package, m, types)
        for s in f.service:
            found += [f"method {f.package}.{s.name} {m.name} {m.input_type[1:]} {m.output_type[1:]}" for m in s.method]
    return sorted(found)
