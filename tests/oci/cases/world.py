# SPDX-License-Identifier: Apache-2.0
"""What the cases of oci_test share: a pod for containers of no special wish, and what containers said of themselves."""
import os

from bundle import config, set_at
from runtime import PodWorld, is_caisson
from suite import Skip, check

CRI = "io.kubernetes.cri."


def sections(script):
    """A shell script that prints what each command says under its name. script: (name, command) pairs."""
    return "\n".join(f"echo '@@{name}'\n{{ {command}\n}} 2>&1" for name, command in script) + "\nexit 0\n"


def parse(text):
    """What sections() printed: name -> lines."""
    found, lines = {}, []
    for line in text.splitlines():
        if line.startswith("@@"):
            lines = found.setdefault(line[2:], [])
        else:
            lines.append(line)
    return found


class OciWorld(PodWorld):
    def prepare(self):
        super().prepare()
        self.at_end(self.end_sandbox)
        self.sandbox_name = None

    def need_caisson(self, why):
        if not is_caisson(self.runtime.binary):
            raise Skip(f"{self.runtime.binary}: {why}")

    # ---- The shared pod ----------------------------------------------------------------------------------------------

    def sandbox(self):
        """Name of the sandbox whose pod members share."""
        return self.once("sandbox", self.make_sandbox)

    def make_sandbox(self):
        name = self.name("sandbox")
        spec = config("exec sleep 1000000")
        spec["annotations"] = {CRI + "container-type": "sandbox", CRI + "sandbox-id": name}
        self.sandbox_name = name
        self.runtime.create(name, self.bundle(name, spec)).good()
        self.runtime.command("start", name).good()
        return name

    def end_sandbox(self):
        if self.sandbox_name is not None:
            self.runtime.remove(self.sandbox_name)

    def member(self, spec):
        """Make it a container of the shared pod."""
        spec.setdefault("annotations", {})
        spec["annotations"].update({CRI + "container-type": "container", CRI + "sandbox-id": self.sandbox()})
        return spec

    def run(self, spec, word="run", **more):
        """A member of the shared pod to its end, which removes it."""
        name = self.name(word)
        return self.runtime.run(name, self.bundle(name, self.member(spec)), **more)

    def alone(self, spec, word="alone", **more):
        """The same in a pod of its own."""
        name = self.name(word)
        return self.runtime.run(name, self.bundle(name, spec), **more)

    def said(self, key, make, alone=False):
        """Sections that a container printed, which is run for the first who asks. make: its spec, of the world."""
        run = self.alone if alone else self.run
        return self.once(key, lambda: parse(run(make(self), key).text()))

    def create(self, spec, word="made", alone=False, **more):
        """A created container of the shared pod; the case deletes it."""
        name = self.name(word)
        bundle = self.bundle(name, spec if alone else self.member(spec))
        self.runtime.create(name, bundle, **more).good()
        return name

    # ---- What has to fail --------------------------------------------------------------------------------------------

    def refused(self, spec, *texts, word="bad"):
        """create fails, says why and leaves neither container nor process."""
        name = self.name(word)
        result = self.runtime.create(name, self.bundle(name, spec))
        if result.code == 0:
            self.runtime.remove(name)
        result.bad(*texts)
        self.check_nothing_of(name)
        return result

    def check_nothing_of(self, name):
        check(self.runtime.status(name) == "gone", f"{name} is {self.runtime.status(name)} after an error")
        check(not os.path.exists(os.path.join(self.runtime.root, name)), f"the folder of {name} is still there")


def changed(*changes, args="true", **process):
    """The default configuration with changes: path, value, path, value..."""
    spec = config(args, **process)
    for path, value in zip(changes[::2], changes[1::2]):
        set_at(spec, path, value)
    return spec
