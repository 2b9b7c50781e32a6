# SPDX-License-Identifier: Apache-2.0
"""Mount options: one container with a mount for each, which prints what the kernel says of them."""
import os

from bundle import mount
from runtime import is_caisson
from suite import check, check_equal

from .world import changed, sections

# Option: what is given before it, what the kernel has to show for it, what it must not show. Where the kernel shows
# nothing for an option it can only be accepted. Words as in /proc/self/mountinfo.
TMPFS = {
    "async": (["sync"], [], ["sync"]),
    "atime": (["noatime"], [], ["noatime"]),
    "defaults": ([], ["rw", "relatime"], ["nosuid", "nodev", "noexec", "sync"]),
    "dev": (["nodev"], [], ["nodev"]),
    "diratime": (["nodiratime"], [], ["nodiratime"]),
    "dirsync": ([], ["dirsync"], []),
    "exec": (["noexec"], [], ["noexec"]),
    "iversion": ([], [], []),
    "lazytime": ([], ["lazytime"], []),
    "loud": (["silent"], [], []),
    "noatime": ([], ["noatime"], ["relatime"]),
    "nodev": ([], ["nodev"], []),
    "nodiratime": ([], ["nodiratime"], []),
    "noexec": ([], ["noexec"], []),
    "noiversion": (["iversion"], [], []),
    "nolazytime": (["lazytime"], [], ["lazytime"]),
    "norelatime": (["relatime"], [], []),
    "nostrictatime": (["strictatime"], ["relatime"], []),
    "nosuid": ([], ["nosuid"], []),
    "relatime": ([], ["relatime"], ["noatime"]),
    "ro": ([], ["ro"], ["rw"]),
    "rw": (["ro"], ["rw"], ["ro"]),
    "silent": ([], [], []),
    "strictatime": ([], [], ["relatime", "noatime"]),
    "suid": (["nosuid"], [], ["nosuid"]),
    "sync": ([], ["sync"], ["async"]),
}
YOUNG = ("silent", "loud", "lazytime", "nolazytime", "iversion", "noiversion", "defaults")  # than runc 1.1
# Propagation: the optional field that the kernel shows, None for none. These come behind "shared", which is to be undone:
# a mount that alone is of its group depends on no other when it becomes a slave.
PROPAGATION = {"private": None, "rprivate": None, "slave": None, "rslave": None, "shared": "shared:", "rshared": "shared:",
               "unbindable": "unbindable", "runbindable": "unbindable"}


def everything(world):
    volume = world.folder("mount-volume")
    os.makedirs(os.path.join(volume, "below"), exist_ok=True)
    spec = changed("process.args", ["/bin/sh", "-c", sections([
        ("mounts", "cat /proc/self/mountinfo"), ("bind", "ls /bind; ls /rbind /rbind/below"),
        ("remount", "touch /remount/x")])])
    known = [o for o in TMPFS if is_caisson(world.runtime.binary) or o not in YOUNG]
    spec["mounts"] += [mount(f"/t/{o}", "tmpfs", *TMPFS[o][0], o) for o in known]
    spec["mounts"] += [mount("/bind", "bind", "bind", source=volume), mount("/rbind", "bind", "rbind", source=volume)]
    spec["mounts"] += [mount(f"/p/{o}", "bind", "rbind", "shared", o, source=volume) for o in PROPAGATION]
    spec["mounts"] += [mount("/remount", "tmpfs"), mount("/remount", "tmpfs", "remount", "ro", "nosuid")]
    return spec


def entry(said, where):
    found = [line.split() for line in said["mounts"] if line.split()[4] == where]
    check(found, f"nothing is mounted on {where}")
    words = found[-1]
    rest = words.index("-")
    return set(words[5].split(",")) | set(words[rest + 3].split(",")), words[6:rest]


def option(name):
    _, shown, hidden = TMPFS[name]

    def case(world):
        options, _ = entry(world.said("mount-options", everything), f"/t/{name}")
        # The file system is writable even where this mount of it is not.
        hidden_here = [o for o in hidden if o in options and not (o == "rw" and "ro" in options)]
        check(set(shown) <= options and not hidden_here, f"options are {sorted(options)}")

    return case


def propagation(name):
    wanted = PROPAGATION[name]

    def case(world):
        _, fields = entry(world.said("mount-options", everything), f"/p/{name}")
        if wanted is None:
            check(not [f for f in fields if f.startswith(("shared:", "unbindable"))], f"propagation is {fields}")
        else:
            check([f for f in fields if f.startswith(wanted)], f"propagation is {fields}")

    return case


def bind(world):
    said = world.said("mount-options", everything)
    check_equal(said["bind"][:1], ["below"], "what is in the bound folder")


def rbind(world):
    said = world.said("mount-options", everything)
    check_equal(said["bind"][1:], ["/rbind:", "below", "", "/rbind/below:"], "what is in the bound folder and below")


def remount(world):
    said = world.said("mount-options", everything)
    options, _ = entry(said, "/remount")
    check({"ro", "nosuid"} <= options, f"options are {sorted(options)}")
    check("Read-only" in said["remount"][0], f"writing there: {said['remount']}")


# ---- Id-mapped mounts, propagation of the root, what cannot be ------------------------------------------------------


def idmap(kind, *more):
    def make(world, **changes):
        volume = world.folder("idmap-volume")
        path = os.path.join(volume, "file")
        with open(path, "ab"):
            os.chown(path, 1000, 1000)
        spec = changed("process.args", ["stat", "-c", "%u %g", "/v/file"])
        spec["mounts"].append({"destination": "/v", "type": "bind", "source": volume, "options": ["rbind", kind, *more], **changes})
        return spec

    return make


MAPPINGS = {"uidMappings": [{"containerID": 1000, "hostID": 7000, "size": 10}],
            "gidMappings": [{"containerID": 1000, "hostID": 8000, "size": 10}]}


def mapped_or_refused(kind):
    """File systems differ in whether they can. That the mapping is silently left out is the one thing not allowed."""

    def case(world):
        world.need_caisson("mappings of mounts are younger than runc 1.1")
        result = world.run(idmap(kind)(world, **MAPPINGS))
        if result.code == 0:
            check_equal(result.out, b"7000 8000\n", "owner of a file of 1000 and 1000")
        else:
            result.bad("idmap")

    return case


def needs_mappings(kind):
    def case(world):
        world.need_caisson("mappings of mounts are younger than runc 1.1")
        world.refused(world.member(idmap(kind)(world)), "idmap")

    return case


def only_one_mapping_is_refused(world):
    world.need_caisson("mappings of mounts are younger than runc 1.1")
    for one in MAPPINGS:
        world.refused(world.member(idmap("idmap")(world, **{one: MAPPINGS[one]})), "Mappings")


def root_propagation(kind, field):
    def case(world):
        if kind != "private":
            world.need_caisson("it sets that of the root that the container leaves")
        spec = changed("linux.rootfsPropagation", kind, args="cat /proc/self/mountinfo")
        root = [line.split() for line in world.run(spec).text().splitlines() if line.split()[4] == "/"][-1]
        fields = root[6 : root.index("-")]
        check([f for f in fields if f.startswith(field)] if field else not fields, f"propagation is {fields}")

    return case


def special_file_systems_are_there(world):
    spec = changed(args="cut -d' ' -f3 /proc/mounts | sort -u; ls /dev/mqueue; echo x >/dev/shm/x && cat /dev/shm/x; ls /dev/pts")
    said = world.run(spec).text().splitlines()
    for kind in ("proc", "sysfs", "devpts", "mqueue", "tmpfs"):
        check(kind in said, f"no {kind} is mounted; there are {said}")
    check("x" in said and "ptmx" in said, f"no file in /dev/shm, or no ptmx: {said}")


def cgroup_file_system_is_there(world):
    spec = changed("linux.namespaces.5", {"type": "cgroup"}, args="cat /sys/fs/cgroup/cgroup.controllers; cat /sys/fs/cgroup/cgroup.procs")
    spec["mounts"].append(mount("/sys/fs/cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "ro"))
    world.need_caisson("this host has cgroup v1")
    said = world.run(spec).text().splitlines()
    check("memory" in said[0].split() and "1" in said[1:], f"controllers and processes: {said}")


def vanished_source_is_refused(world):
    spec = changed()
    spec["mounts"].append(mount("/v", "bind", "rbind", source=world.path("never-there")))
    world.refused(world.member(spec), "never-there")


def image_s_links_lead_no_mount_outside(world):
    """A hostile image: its folder for a mount is a link to the guest's own."""
    root = world.path("hostile")
    os.makedirs(os.path.join(root, "proc"))
    os.symlink(os.path.join(world.image, "bin"), os.path.join(root, "elsewhere"))
    os.symlink("/../../../../../run", os.path.join(root, "escape"))
    os.makedirs(os.path.join(root, "bin"))
    for name in ("busybox", "sh", "cat", "ls", "true"):
        os.link(os.path.join(world.image, "bin/busybox"), os.path.join(root, "bin", name))
    spec = changed("root.path", root, args="cat /proc/self/mountinfo")
    spec["mounts"] = [m for m in spec["mounts"] if m["destination"] == "/proc"] + [mount("/escape/caisson", "tmpfs")]
    spec["linux"]["maskedPaths"] = spec["linux"]["readonlyPaths"] = []
    name = world.name("hostile")
    result = world.runtime.run(name, world.bundle(name, world.member(spec)))
    if result.code == 0:
        check(b" /run/caisson " in result.out, f"the mount went elsewhere: {result}")
    else:
        result.bad()
    said = world.run(changed(args="echo still here")).text()
    check_equal(said, "still here\n", "another container of the pod after that")


CASES = [(f"mount_option_{name}", option(name)) for name in TMPFS]
CASES += [(f"mount_option_{name}", propagation(name)) for name in PROPAGATION]
CASES += [("mount_option_bind", bind), ("mount_option_rbind", rbind), ("mount_option_remount", remount)]
CASES += [(f"mount_option_{k}_maps_or_is_refused", mapped_or_refused(k)) for k in ("idmap", "ridmap")]
CASES += [(f"mount_option_{k}_needs_mappings", needs_mappings(k)) for k in ("idmap", "ridmap")]
CASES += [(f"root_propagation_{k}", root_propagation(k, f)) for k, f in
          (("shared", "shared:"), ("slave", ""), ("private", ""), ("unbindable", "unbindable"))]
CASES += [(f.__name__, f) for f in (only_one_mapping_is_refused, special_file_systems_are_there, cgroup_file_system_is_there,
                                    vanished_source_is_refused, image_s_links_lead_no_mount_outside)]
