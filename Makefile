# SPDX-License-Identifier: Apache-2.0
#
# Builds and tests caisson. "make help" lists the targets; docs/dependencies.md says what is linked in and why.
#
# Configuration: Kconfig describes the options. Plain "make" takes ./.config if there is one and builds in build/custom;
# otherwise, or with CONFIG=<name> given, it takes the preset scripts/configs/<name> (dev) and builds in build/<name>.
# Each source file is compiled in up to six variants, each in its own folder of objects:
#   musl   the product: static-pie against musl (make, make test)
#   asan   glibc with AddressSanitizer and UndefinedBehaviorSanitizer, counting lines (make test-asan, make fuzz-replay)
#   fuzz   clang with libFuzzer and the same sanitizers (make fuzz-build)
#   clang  the product's flags with clang, which only looks for warnings (make check-clang)
#   so     glibc and position-independent: libcaisson-softhv.so (make softhv-preload); so-clang the same for check-clang
# Useful on the command line: CONFIG=node, BUILD=/tmp/b (other output folder), T=x86/decode (only tests whose path
# contains this), V=1 (show commands), WERROR= (warnings are not errors: for compilers newer than we know),
# EXTRA_CFLAGS=..., CC=clang, REUSE='scripts/compile-once FOLDER' (several presets at once).

VERSION := 0.1.0

SHELL := /bin/sh
.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:
export LC_ALL := C
Q := $(if $(V),,@)
quiet := $(V)$(findstring s,$(firstword -$(MAKEFLAGS)))
say = @$(if $(quiet),:,printf '  %-8s %s\n' $(1) $(2))

# ---- Configuration ------------------------------------------------------------------------------------------------

ifeq ($(origin CONFIG),undefined)
CONFIG := $(if $(wildcard .config),custom,dev)
endif
config_file := $(if $(filter custom,$(CONFIG)),.config,scripts/configs/$(CONFIG))
ifeq ($(wildcard $(config_file)),)
$(error config: no preset '$(CONFIG)'; there are: $(notdir $(wildcard scripts/configs/*)))
endif
BUILD ?= build
OUT := $(BUILD)/$(CONFIG)
kconfig := KCONFIG_CONFIG=.config /usr/bin/python3 -m

.PHONY: all
all: $(OUT)/caisson ## build build/<config>/caisson (the default)

ifneq ($(filter-out help clean format %config config-%,$(or $(MAKECMDGOALS),all)),)
include $(OUT)/config.mk
DEPS := $(shell scripts/deps dir)
endif

# One run writes both files and touches neither when its content stays: changing an unused option rebuilds nothing.
$(OUT)/config.stamp: $(config_file) Kconfig scripts/kconfig-header
	$(Q)scripts/kconfig-header Kconfig $< $(OUT)
	$(Q)touch $@
$(OUT)/config.mk $(OUT)/config.h: $(OUT)/config.stamp ;

# ---- Sources: whole folders and files, chosen by Kconfig symbols -----------------------------------------------------

dirs-y := common common/crypto vmm vmm/mshv vmm/devices vmm/devices/virtio vmm/backends boot policy
dirs-$(CONFIG_X86_CORE) += vmm/x86
dirs-$(CONFIG_SOFTHV) += vmm/softhv
dirs-$(CONFIG_GUEST_INIT) += guest-init
dirs-$(CONFIG_AGENT) += guest-init/agent guest-init/container
dirs-$(CONFIG_OCI) += vmm/oci vmm/pod
dirs-$(CONFIG_MEASURE) += vmm/trust
dirs-$(CONFIG_ATTEST) += vmm/attest
dirs-$(CONFIG_LAUNCH_POLICY) += policy/launch
dirs-$(CONFIG_SECCOMP) += policy/seccomp
dirs-$(CONFIG_JAIL) += policy/jail
omit-$(if $(CONFIG_DOCTOR),,y) += $(wildcard vmm/doctor*.c tests/vmm/doctor*_test.c)
omit-$(if $(CONFIG_MANUAL),,y) += $(foreach f,manual completion cli_words,vmm/$(f).c tests/vmm/$(f)_test.c)
run := run run_options run_report launch attach attach_sink line initramfs vm vcpu exits
omit-$(if $(CONFIG_RUN),,y) += $(run:%=vmm/%.c) $(run:%=tests/vmm/%_test.c)
omit-$(if $(CONFIG_GUEST_INIT),,y) += $(wildcard tests/guest-init/*.c)
omit-$(if $(CONFIG_SOFTHV),,y) += $(wildcard tests/vmm/softhv/*.c tests/vmm/mshv/abi_*_test.c tests/minivmm/sys_softhv.c)
omit-$(if $(CONFIG_SOFTHV),,y) += $(patsubst %,tests/vmm/%_test.c,vm vcpu exits)
omit-$(if $(CONFIG_SOFTHV),,y) += $(patsubst %,tests/fuzz/%_fuzz.c,hvguest trace port)
omit-y += tests/vmm/softhv/preload/% # programs for glibc, not with the rest
omit-$(if $(CONFIG_OCI),,y) += tests/lib/oci_bundle.c
omit-$(if $(CONFIG_IOAPIC),,y) += $(wildcard vmm/devices/ioapic.c tests/vmm/devices/ioapic_test.c tests/fuzz/ioapic_fuzz.c)
omit-$(if $(CONFIG_RTC),,y) += $(wildcard vmm/devices/rtc.c tests/vmm/devices/rtc_test.c)
omit-$(if $(CONFIG_SERIAL),,y) += $(wildcard vmm/devices/serial.c tests/vmm/devices/serial_test.c tests/fuzz/serial_fuzz.c)
omit-$(if $(CONFIG_PVPANIC),,y) += $(wildcard vmm/devices/pvpanic.c tests/vmm/devices/pvpanic_test.c)
# Everything of a virtio device begins with its name: blk.c, blk_request.c, blk_test.c, virtio_blk_fuzz.c.
virtio-of = $(wildcard $(foreach f,$(1),vmm/devices/virtio/$(f)*.c tests/vmm/devices/virtio/$(f)*_test.c tests/fuzz/virtio_$(f)*_fuzz.c))
omit-$(if $(CONFIG_VIRTIO),,y) += $(wildcard vmm/devices/virtio/*.c tests/vmm/devices/virtio/*_test.c tests/fuzz/virtio_*_fuzz.c)
omit-$(if $(CONFIG_VIRTIO),,y) += $(foreach f,loop io io_devices io_options,vmm/$(f).c tests/vmm/$(f)_test.c)
omit-$(if $(CONFIG_VIRTIO_PCI),,y) += $(call virtio-of,pci) $(wildcard vmm/devices/pci*.c vmm/msi.c tests/vmm/devices/pci*_test.c tests/vmm/msi_test.c)
omit-$(if $(CONFIG_VIRTIO_PACKED),,y) += $(call virtio-of,packed)
omit-$(if $(CONFIG_VIRTIO_MMIO),,y) += $(call virtio-of,mmio)
omit-$(if $(CONFIG_VIRTIO_VSOCK),,y) += $(call virtio-of,vsock)
omit-$(if $(CONFIG_VIRTIO_BLK),,y) += $(call virtio-of,blk) $(wildcard vmm/backends/disk*.c tests/vmm/backends/disk*_test.c)
omit-$(if $(CONFIG_VIRTIO_FS),,y) += $(call virtio-of,fs)
omit-$(if $(CONFIG_VIRTIO_NET),,y) += $(call virtio-of,net) $(wildcard vmm/backends/net*.c tests/vmm/backends/net*_test.c)
omit-$(if $(CONFIG_VIRTIO_RNG),,y) += $(call virtio-of,rng)
omit-$(if $(CONFIG_VIRTIO_CONSOLE),,y) += $(call virtio-of,console)
omit-$(if $(CONFIG_VIRTIO_BALLOON),,y) += $(call virtio-of,balloon)
x86-system := event descriptor stack exec_far exec_fast exec_seg exec_table exec_cr exec_msr exec_io exec_sys \
	exec_x87 x87_env x87_host exec_xsave
omit-$(if $(CONFIG_X86_SYSTEM),,y) += $(x86-system:%=vmm/x86/%.c) $(wildcard tests/vmm/x86/*_test.c tests/guests/*_test.c \
	tests/fuzz/exec_fuzz.c)
omit-$(if $(CONFIG_X86_VECTOR),,y) += $(wildcard vmm/x86/exec_vec*.c tests/vmm/x86/exec_vec_test.c)

# Messages of common/proto/, made by nanopb's generator. Headers stand in $(OUT)/proto, which is in the search path.
protos := $(if $(CONFIG_TTRPC),$(patsubst common/proto/%.proto,%,$(sort $(wildcard common/proto/*.proto common/proto/google/protobuf/*.proto))))
omit-$(if $(CONFIG_AGENT),,y) += $(wildcard tests/guest-init/agent/*.c tests/guest-init/container/*.c tests/lib/agent_rig.c tests/lib/agent_host.c tests/lib/box.c tests/fuzz/agent*_fuzz.c)
omit-$(if $(CONFIG_OCI),,y) += tests/lib/fake_agent.c tests/lib/oci_rig.c tests/lib/proxy_rig.c $(wildcard tests/vmm/oci/*.c tests/vmm/pod/*.c tests/fuzz/oci*_fuzz.c tests/fuzz/pod*_fuzz.c)
omit-$(if $(CONFIG_POD_NET),,y) += $(wildcard vmm/pod/net*.c tests/vmm/pod/net*_test.c tests/pod/attach.c)
omit-$(if $(CONFIG_TTRPC),,y) += $(wildcard common/ttrpc*.c tests/common/ttrpc*_test.c tests/fuzz/ttrpc*_fuzz.c)
# Trust: whole folders above, and what stands in folders of others.
omit-$(if $(CONFIG_MEASURE),,y) += $(wildcard boot/measure*.c tests/boot/measure*_test.c boot/event_log*.c tests/boot/event_log*_test.c tests/vmm/trust/*.c tests/fuzz/event_log*_fuzz.c) \
	$(wildcard vmm/pod/trust*.c tests/vmm/pod/trust*_test.c guest-init/agent/trust*.c tests/guest-init/agent/trust*_test.c tests/fuzz/trust*_fuzz.c)
omit-$(if $(CONFIG_OCI),,y) += $(wildcard vmm/trust/measure*.c vmm/trust/machine*.c tests/vmm/trust/measure*_test.c tests/vmm/trust/machine*_test.c)
omit-$(if $(CONFIG_ATTEST),,y) += $(wildcard tests/vmm/attest/*.c tests/fuzz/attest*_fuzz.c vmm/trust/quote*.c vmm/trust/verify*.c tests/vmm/trust/quote*_test.c tests/vmm/trust/verify*_test.c \
	tests/lib/evidence*.c tests/trust/*.c tests/boot/measure_test.c tests/fuzz/event_log_fuzz.c)
omit-$(if $(CONFIG_LAUNCH_POLICY),,y) += $(wildcard tests/vmm/attest/evidence_policy_test.c tests/policy/launch/*.c tests/fuzz/policy*_fuzz.c vmm/trust/policy*.c tests/vmm/trust/policy*_test.c \
	guest-init/agent/policy*.c tests/guest-init/agent/policy*_test.c)
omit-$(if $(CONFIG_OCI),,y) += $(wildcard vmm/trust/policy*.c tests/vmm/trust/policy*_test.c)
omit-$(if $(CONFIG_TTRPC),,y) += $(wildcard policy/launch/describe*.c tests/policy/launch/describe*_test.c)
omit-$(if $(CONFIG_SECRETS),,y) += $(wildcard guest-init/agent/secret*.c tests/guest-init/agent/secret*_test.c vmm/trust/secret*.c tests/vmm/trust/secret*_test.c)
omit-$(if $(CONFIG_VERITY),,y) += $(wildcard guest-init/container/verity*.c tests/guest-init/container/verity*_test.c vmm/verity*.c tests/vmm/verity*_test.c)

omit-$(if $(CONFIG_SECCOMP),,y) += $(wildcard tests/policy/seccomp/*.c)
omit-$(if $(CONFIG_CODE_MEMORY),,y) += vmm/softhv/code_memory.c tests/vmm/softhv/code_memory_test.c
omit-$(if $(CONFIG_JAIL),,y) += tests/lib/inmate.c $(wildcard tests/policy/jail/*.c)

mains := vmm/main.c $(if $(CONFIG_GUEST_INIT),guest-init/main.c)
srcs := $(filter-out $(mains) $(omit-y),$(foreach d,$(dirs-y),$(sort $(wildcard $(d)/*.c))))
find = $(sort $(filter-out $(omit-y),$(shell [ ! -d tests ] || find tests -name '$(1)')))
# T: one word or several; a path with any of them.
chosen = $(if $(T),$(foreach t,$(1),$(if $(strip $(foreach w,$(T),$(findstring $(w),$(t)))),$(t))),$(1))
tests := $(call chosen,$(call find,*_test.c))
fuzzers := $(call find,*_fuzz.c)
testlib := $(filter-out $(omit-y),$(sort $(wildcard tests/lib/*.c)))
x86diff := $(sort $(wildcard tests/x86diff/*.c))
bench := $(sort $(wildcard tests/bench/*.c))
io-tool := $(sort $(wildcard tests/io/*.c))
bench-io := $(sort $(wildcard tests/bench/io/*.c))
guests := $(sort $(wildcard tests/guests/*.S))
minivmm := $(sort $(wildcard tests/minivmm/*.c))
minivmm-guests := $(sort $(wildcard tests/minivmm/*.S))
everything := $(srcs) $(wildcard $(mains)) $(filter-out tests/minivmm/sys_libc.c,$(call find,*.c))
# Without relro.c, which is for programs that relocate themselves, and what is for pods.
preload := $(sort $(wildcard vmm/softhv/preload/*.c))
preload-tests := $(sort $(wildcard tests/vmm/softhv/preload/*_test.c))
preload-srcs := $(filter-out common/relro.c common/ttrpc.c common/crypto/%,$(filter common/% vmm/softhv/% vmm/x86/%,$(srcs))) vmm/mshv/names.c $(preload)

# ---- Flags -----------------------------------------------------------------------------------------------------------

CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
CLANG ?= clang
WERROR ?= -Werror
try = $(shell $(1) -Werror $(2) -c -x c /dev/null -o /dev/null 2>/dev/null && echo '$(2)')

warnings := -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wundef -Wvla \
	-Wcast-qual -Wwrite-strings -Wformat=2 -Wnull-dereference -Wimplicit-fallthrough -Wdouble-promotion $(WERROR)
base = -std=c17 -D_GNU_SOURCE -I. -I$(OUT) -include $(OUT)/config.h -isystem $(OUT)/proto -isystem $(DEPS)/include $(nanopb) -ffile-prefix-map=$(CURDIR)=. \
	-ffile-prefix-map=$(abspath $(OUT))=out -ffile-prefix-map=$(OUT)=out -ffile-prefix-map=$(DEPS)=deps -g $(warnings) $(EXTRA_CFLAGS)
# As the library was compiled (scripts/deps).
nanopb := -DPB_ENABLE_MALLOC=1 -DPB_FIELD_32BIT=1
# clang before 16 wants a second flag for zeroed locals; a compiler that knows neither goes without.
zeroed = $(or $(call try,$(1),-ftrivial-auto-var-init=zero),$(call try,$(1),-ftrivial-auto-var-init=zero \
	-enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang))
harden = -fPIE -fstack-protector-strong -fstack-clash-protection -fno-common -fvisibility=hidden $(call zeroed,$(1))
optimise := -O2 -ffunction-sections -fdata-sections
# musl first, then the compiler's own headers (stdatomic.h, immintrin.h), then a copy of the kernel's: nothing of glibc.
# $(DEPS) is a symbolic link; gcc would resolve it in debug information, past -ffile-prefix-map, but for the flag.
own_headers = $(if $(findstring clang,$(1)),$(shell $(1) -print-resource-dir 2>/dev/null)/include,$(shell $(1) -print-file-name=include))
muslinc = -nostdinc -isystem /usr/include/x86_64-linux-musl -isystem $(call own_headers,$(1)) -isystem $(DEPS)/kernel \
	$(call try,$(1),-fno-canonical-system-headers)
# The sanitizers' own code makes gcc see null dereferences and uninitialised variables that are not there.
sanitize := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all -Wno-null-dereference

# What is run under the sanitizers also counts its lines, for scripts/coverage: one build less. Not the processor model,
# which would take two to four times as long and is compared with a processor instead, nor tests.
count := -fprofile-arcs -ftest-coverage -fprofile-update=atomic
uncounted := -fno-profile-arcs -fno-test-coverage

CC_musl := $(CC)
CC_asan := $(CC)
CC_fuzz := $(CLANG)
CC_clang := $(CLANG)
# Nothing unwinds a stack at run time, and debuggers find the tables in caisson.debug: a tenth of the smallest preset.
FLAGS_musl := $(base) $(optimise) $(call harden,$(CC)) $(call muslinc,$(CC)) -fno-asynchronous-unwind-tables
FLAGS_asan := $(base) $(sanitize) -g1 $(if $(findstring clang,$(CC)),,-Wno-maybe-uninitialized) $(count)
FLAGS_fuzz := $(base) $(sanitize) -fsanitize=fuzzer-no-link -Wno-sign-conversion # glibc has enumerations where musl has int
CC_so := $(CC)
CC_so-clang := $(CLANG)
# musl has nothing that _FORTIFY_SOURCE would switch on.
FLAGS_so := $(base) $(optimise) $(call harden,$(CC)) -fPIC -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 $(call try,$(CC),-fno-canonical-system-headers)
# Nobody runs what these two would make, and clang's warnings do not come from making it: they leave empty objects. Only
# assembler inside of a source has to be assembled to be judged.
syntax = $(shell grep -q 'asm__\|asm volatile' $(1) || echo -fsyntax-only)
FLAGS_so-clang := $(base) -O0 $(call harden,$(CLANG)) -fPIC
FLAGS_clang := $(base) -O0 $(call harden,$(CLANG)) $(call muslinc,$(CLANG)) --target=x86_64-linux-musl

# Tests are compiled far more often than they are run; where speed is measured they are not. Without optimisation gcc sees
# conversions where none can happen; the other variants judge those.
tests_musl := -O1 -g1
tests_asan := -O0 -Wno-conversion -Wno-sign-conversion $(uncounted)

# gcc's musl wrapper makes a dynamic PIE of -static-pie, so the start files are named here.
libs = seccomp jansson mbedx509 mbedcrypto nanopb
musl := /usr/lib/x86_64-linux-musl
LINK_musl = $(CC) -static-pie -nostdlib -nostartfiles -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code,-z,text \
	-Wl,--gc-sections,--build-id=sha1,--fatal-warnings $(musl)/rcrt1.o $(musl)/crti.o $(shell $(CC) -print-file-name=crtbeginS.o)
LIBS_musl = -Wl,--start-group $(libs:%=$(DEPS)/musl/lib%.a) $(musl)/libc.a -lgcc -lgcc_eh -Wl,--end-group \
	$(shell $(CC) -print-file-name=crtendS.o) $(musl)/crtn.o
LINK_asan = $(CC) $(sanitize) --coverage -Wl,-u,__gcov_dump
LIBS_asan = $(libs:%=$(DEPS)/glibc/lib%.a) -lpthread
LINK_fuzz = $(CLANG) $(sanitize) -fsanitize=fuzzer
LIBS_fuzz = $(LIBS_asan)
# What the library calls itself must not come back to it: --wrap (vmm/softhv/preload/preload.c).
LINK_so = $(CC) -shared -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code,-z,text,-z,defs,-z,nodelete -Wl,--gc-sections \
	-Wl,--build-id=sha1,--fatal-warnings -Wl,--version-script=vmm/softhv/preload/exports.map \
	-Wl,-soname,libcaisson-softhv.so $(foreach f,open close ioctl mmap,-Wl,--wrap=$(f))
cmocka_musl = $(DEPS)/musl/libcmocka.a
cmocka_asan = $(DEPS)/glibc/libcmocka.a

# Several may run at once in one folder, for different targets.
this_make := $(shell echo $$PPID)

# ---- Rules, once for each variant ------------------------------------------------------------------------------------

objects = $(patsubst %.c,$(OUT)/$(1)/%.o,$(2))

define variant
$(OUT)/$(1)/tests/%.o: private FLAGS_$(1) += -DGUEST_DIR='"$(OUT)/guests"' -DPRELOAD_LIBRARY='"$(OUT)/libcaisson-softhv.so"' $(tests_$(1))
$(OUT)/$(1)/tests/bench/%.o $(OUT)/$(1)/tests/x86diff/%.o: private FLAGS_$(1) += -O2 -g
$(OUT)/$(1)/vmm/x86/%.o $(OUT)/$(1)/proto/%.o $(OUT)/$(1)/seccomp/%.o: private FLAGS_$(1) += $(if $(filter asan,$(1)),$(uncounted))
$(OUT)/$(1)/: ; @mkdir -p $$@
# Files whose time changes only with their content: an object depends on compiler and flags, an archive on its list.
$(OUT)/$(1)/flags $(OUT)/$(1)/members: FORCE | $(OUT)/$(1)/
	$$(file >$$@.$(this_make),$$(if $$(filter %/flags,$$@),$$(CC_$(1)) $$(FLAGS_$(1)),$(srcs) $(testlib)))
	@cmp -s $$@.$(this_make) $$@ && rm $$@.$(this_make) || mv $$@.$(this_make) $$@
$(OUT)/$(1)/%.o: %.c $(OUT)/config.h $(OUT)/$(1)/flags $(DEPS)/ok $(OUT)/proto/ok | $(OUT)/version.h
	@mkdir -p $$(@D)
	$$(call say,CC,$$@)
	$$(Q)$(if $(filter asan,$(1)),rm -f $$(@:.o=.gcda); )$(if $(filter musl,$(1)),$$(if $$(filter tests/%,$$<),,$$(REUSE))) $$(CC_$(1)) $$(FLAGS_$(1)) $(if $(filter %clang,$(1)),$$(call syntax,$$<)) -MMD -MP -c $$< -o $$@$(if $(filter %clang,$(1)), && touch $$@)
$(OUT)/$(1)/seccomp/filters.o: $(OUT)/seccomp/filters.c $(OUT)/config.h $(OUT)/$(1)/flags
	@mkdir -p $$(@D)
	$$(call say,CC,$$@)
	$$(Q)$$(CC_$(1)) $$(FLAGS_$(1)) -c $$< -o $$@
# What the generator writes is not judged by our warnings.
$(OUT)/$(1)/proto/%.o: $(OUT)/proto/ok $(OUT)/config.h $(OUT)/$(1)/flags $(DEPS)/ok
	@mkdir -p $$(@D)
	$$(call say,CC,$$@)
	$$(Q)$$(CC_$(1)) $$(FLAGS_$(1)) -w -c $(OUT)/proto/$$*.pb.c -o $$@
# Archives are made anew so that a file no longer chosen leaves them.
$(OUT)/$(1)/boot/builtin.o: boot/builtin.S $(if $(CONFIG_GUEST_INIT),$(OUT)/guest-init)
	@mkdir -p $$(@D)
	$$(Q)gcc -c -Wa,--fatal-warnings $(if $(CONFIG_GUEST_INIT),-DGUEST_INIT='"$(OUT)/guest-init"') $$< -o $$@
$(OUT)/$(1)/libcaisson.a: $(call objects,$(1),$(srcs)) $(protos:%=$(OUT)/$(1)/proto/%.o) $(OUT)/$(1)/boot/builtin.o \
	$(if $(CONFIG_SECCOMP),$(OUT)/$(1)/seccomp/filters.o)
$(OUT)/$(1)/libtest.a: $(call objects,$(1),$(testlib))
$(OUT)/$(1)/%.a: $(OUT)/$(1)/members
	$$(Q)rm -f $$@; ar rcsD $$@ $$(filter %.o,$$^)
$(OUT)/$(1)/%_test: $(OUT)/$(1)/%_test.o $(OUT)/$(1)/libtest.a $(OUT)/$(1)/libcaisson.a
	$$(call say,LINK,$$@)
	$$(Q)$$(LINK_$(1)) -o $$@ $$(filter %.o %.a,$$^) $$(cmocka_$(1)) $$(LIBS_$(1))
-include $(patsubst %.o,%.d,$(call objects,$(1),$(if $(filter so%,$(1)),$(preload-srcs) $(preload-tests),$(everything))))
endef
$(foreach v,musl asan fuzz clang so so-clang,$(eval $(call variant,$(v))))

$(DEPS)/ok: | scripts/deps
	$(Q)scripts/deps build

# ---- The program -----------------------------------------------------------------------------------------------------

$(OUT)/proto/ok: $(protos:%=common/proto/%.proto) $(wildcard common/proto/*.options) $(OUT)/config.stamp $(DEPS)/ok
	@mkdir -p $(@D)
	$(if $(protos),$(call say,PROTO,$(@D)))
	$(if $(protos),$(Q)cd common/proto && /usr/bin/python3 -B $(DEPS)/nanopb/nanopb_generator.py -q -D $(abspath $(@D)) $(protos:%=%.proto))
	@touch $@

# Filters of policy/seccomp/*.rules. Their maker runs here and now, so it is linked against this machine's C library.
seccomp-rules := $(sort $(wildcard policy/seccomp/*.rules))
$(OUT)/seccomp-rules: $(wildcard scripts/seccomp/*.[ch]) vmm/mshv/abi.h $(DEPS)/ok
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)gcc -std=c17 -D_GNU_SOURCE -O1 -g $(warnings) -I. -isystem $(DEPS)/include -o $@ $(filter %.c,$^) $(DEPS)/glibc/libseccomp.a
$(OUT)/seccomp/filters.c: $(OUT)/seccomp-rules $(seccomp-rules) $(OUT)/config.h
	@mkdir -p $(@D)
	$(call say,SECCOMP,$@)
	$(Q)$< --code $(OUT)/config.h $(seccomp-rules) >$@

# Named after the commit, not after the time: the same commit gives the same bytes.
$(OUT)/version.h: FORCE
	@mkdir -p $(@D)
	@scripts/version-header $(VERSION) $@
$(OUT)/caisson.debug: $(OUT)/musl/vmm/main.o $(OUT)/musl/libcaisson.a
	$(call say,LINK,$@)
	$(Q)$(LINK_musl) -Wl,-Map=$(OUT)/caisson.map -o $@ $^ $(LIBS_musl)
$(OUT)/caisson: $(OUT)/caisson.debug
	$(call say,STRIP,$@)
	$(Q)strip --strip-all -o $@ $<

# The first process of guests, which libcaisson.a carries: so it cannot be linked from there.
$(OUT)/guest-init.debug: $(call objects,musl,$(filter guest-init/% common/% policy/launch/%,$(srcs)) guest-init/main.c) $(protos:%=$(OUT)/musl/proto/%.o)
	$(call say,LINK,$@)
	$(Q)$(LINK_musl) -o $@ $^ $(LIBS_musl)
$(OUT)/guest-init: $(OUT)/guest-init.debug
	$(call say,STRIP,$@)
	$(Q)strip --strip-all -o $@ $<

# Stands before the C library of a program that opens /dev/mshv, and answers instead of the kernel: docs/preload.md.
$(OUT)/libcaisson-softhv.so.debug: $(call objects,so,$(preload-srcs)) vmm/softhv/preload/exports.map
	$(call say,LINK,$@)
	$(Q)$(LINK_so) -o $@ $(filter %.o,$^) -lpthread -ldl
$(OUT)/libcaisson-softhv.so: $(OUT)/libcaisson-softhv.so.debug
	$(call say,STRIP,$@)
	$(Q)strip --strip-all -o $@ $<
$(OUT)/so/tests/%_test: $(OUT)/so/tests/%_test.o $(OUT)/libcaisson-softhv.so
	$(call say,LINK,$@)
	$(Q)$(CC) -o $@ $< $(cmocka_asan) -lpthread
all: $(if $(CONFIG_SOFTHV_PRELOAD),$(OUT)/libcaisson-softhv.so)

$(OUT)/x86diff: $(call objects,musl,$(x86diff)) $(OUT)/musl/libtest.a $(OUT)/musl/libcaisson.a
$(OUT)/bench-cpu: $(call objects,musl,$(bench)) $(OUT)/musl/libtest.a $(OUT)/musl/libcaisson.a
$(OUT)/x86diff $(OUT)/bench-cpu:
	$(call say,LINK,$@)
	$(Q)$(LINK_musl) -o $@ $^ $(LIBS_musl)

# First process of the guests that are measured: without our libraries, and small.
$(OUT)/bench-init: tests/bench/boot/init.c
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)musl-gcc -static -O2 -Wall -Wextra $(WERROR) -o $@ $<

$(OUT)/guests/%.bin: tests/guests/%.S tests/guests/guest.ld $(wildcard tests/guests/*.inc tests/guests/*.h)
	@mkdir -p $(@D)
	$(call say,GUEST,$@)
	$(Q)gcc -c -Wa,--fatal-warnings -I. -o $(@:.bin=.o) $<
	$(Q)ld -T tests/guests/guest.ld -m elf_x86_64 --oformat binary --build-id=none -o $@ $(@:.bin=.o)

# A VMM without any of caisson: one set of objects against glibc and without -I., so that it cannot include ours, linked
# twice: with softhv behind it, and as a program that opens /dev/mshv.
minivmm-objects := $(patsubst tests/minivmm/%.c,$(OUT)/minivmm/%.o,$(filter-out tests/minivmm/sys_%.c,$(minivmm)))
$(OUT)/minivmm/%.o: tests/minivmm/%.c $(wildcard tests/minivmm/*.h) Makefile
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) -std=c17 -D_GNU_SOURCE -O1 -g $(warnings) -c $< -o $@
$(OUT)/minivmm/soft: $(minivmm-objects) $(OUT)/asan/tests/minivmm/sys_softhv.o $(OUT)/asan/libcaisson.a
	$(call say,LINK,$@)
	$(Q)$(LINK_asan) -o $@ $^ $(LIBS_asan)
$(OUT)/minivmm/libc: $(minivmm-objects) $(OUT)/minivmm/sys_libc.o
	$(call say,LINK,$@)
	$(Q)$(CC) -o $@ $^ -lpthread
$(OUT)/minivmm/%.bin: tests/minivmm/%.S tests/minivmm/guest.inc tests/guests/guest.ld
	@mkdir -p $(@D)
	$(call say,GUEST,$@)
	$(Q)gcc -c -Wa,--fatal-warnings -I. -o $(@:.bin=.guest.o) $<
	$(Q)ld -T tests/guests/guest.ld -m elf_x86_64 --oformat binary --build-id=none -o $@ $(@:.bin=.guest.o)

# The first process of the guests that QEMU starts: nothing of ours, as the library under test is not to test itself.
$(OUT)/qemu/init: $(OUT)/musl/tests/qemu/init.o
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(LINK_musl) -o $@ $< $(LIBS_musl)
# Moves data that can be verified, on the host and in guests; nothing of ours either.
$(OUT)/io-tool: $(call objects,musl,$(io-tool))
	$(call say,LINK,$@)
	$(Q)$(LINK_musl) -o $@ $^ $(LIBS_musl)
# Notes which rules the threads of a program use: tests/seccomp/rules_test.
$(OUT)/seccomp-record: $(OUT)/musl/tests/seccomp/record.o $(OUT)/musl/tests/lib/tracer.o $(OUT)/musl/seccomp/filters.o
	$(call say,LINK,$@)
	$(Q)$(LINK_musl) -o $@ $^ $(LIBS_musl)
# Makes system calls and allocations of a program fail: tests/faults/faults_test.
$(OUT)/fault-inject: $(patsubst %,$(OUT)/musl/tests/%.o,faults/inject faults/code faults/fault lib/tracer)
	$(call say,LINK,$@)
	$(Q)$(LINK_musl) -o $@ $^ $(LIBS_musl)
$(OUT)/seccomp/list: $(OUT)/seccomp-rules $(seccomp-rules) $(OUT)/config.h
	@mkdir -p $(@D)
	$(Q)$< --list $(OUT)/config.h $(seccomp-rules) >$@
# Kills a process at a place of its life: tests/faults/kill_test.
$(OUT)/kill-at: $(OUT)/musl/tests/faults/kill_at.o $(OUT)/musl/seccomp/filters.o
	$(call say,LINK,$@)
	$(Q)$(LINK_musl) -o $@ $^ $(LIBS_musl)
# Gives a network namespace to a VMM as pods do.
$(OUT)/pod-attach: $(OUT)/musl/tests/pod/attach.o $(OUT)/musl/libcaisson.a
	$(call say,LINK,$@)
	$(Q)$(LINK_musl) -o $@ $^ $(LIBS_musl)
# First process of guests and peer on the host, for scripts/bench io.
$(OUT)/bench-io-init: $(call objects,musl,$(bench-io))
	$(call say,LINK,$@)
	$(Q)$(LINK_musl) -o $@ $^ $(LIBS_musl)
# Notes each allocation and who made it: tests/hardening/allocation_test.
$(OUT)/caisson-counted: $(OUT)/musl/vmm/main.o $(OUT)/musl/tests/hardening/count.o $(OUT)/musl/libcaisson.a
	$(call say,LINK,$@)
	$(Q)$(LINK_musl) $(foreach f,malloc calloc realloc aligned_alloc strdup strndup,-Wl,--wrap=$(f)) -o $@ $^ $(LIBS_musl)
# Caisson's side of tests/trust.
$(OUT)/trust-tool: $(call objects,musl,$(sort $(wildcard tests/trust/*.c))) $(OUT)/musl/libtest.a $(OUT)/musl/libcaisson.a
	$(call say,LINK,$@)
	$(Q)$(LINK_musl) -o $@ $^ $(LIBS_musl)
$(OUT)/run/guest: tests/run/guest.S
	@mkdir -p $(@D)
	$(call say,GUEST,$@)
	$(Q)gcc -c -Wa,--fatal-warnings -o $@.o $<
	$(Q)ld -m elf_x86_64 -Ttext=0x1000000 -Tdata=0x1001000 -e start --build-id=none -o $@ $@.o

# Guests that attack: the host's compiler, nothing of the host's libraries (tests/guests/attack/attack.h).
attack-common := tests/guests/attack/start.S tests/guests/attack/attack.c tests/guests/attack/virtio.c
attack-link = $(CC) -std=c17 -O2 -ffreestanding -nostdlib -static -fno-pie -no-pie -mno-red-zone -mgeneral-regs-only -fno-stack-protector \
	-fcf-protection=none -fno-asynchronous-unwind-tables $(warnings) -I. -Wl,-Ttext=0x1000000,-e,start,--build-id=none
attacks := $(patsubst tests/guests/attack/%.c,$(OUT)/attack/%.guest,$(filter-out $(attack-common),$(sort $(wildcard tests/guests/attack/*.c))))
$(OUT)/attack/%.guest: tests/guests/attack/%.c $(attack-common) $(wildcard tests/guests/attack/*.h)
	@mkdir -p $(@D)
	$(call say,GUEST,$@)
	$(Q)$(attack-link) -o $@ $(attack-common) $<
$(OUT)/faults/guest: tests/faults/guest.c $(attack-common) $(wildcard tests/guests/attack/*.h)
	@mkdir -p $(@D)
	$(call say,GUEST,$@)
	$(Q)$(attack-link) -o $@ $(attack-common) $<
$(OUT)/asan/caisson: $(OUT)/asan/vmm/main.o $(OUT)/asan/libcaisson.a
	$(call say,LINK,$@)
	$(Q)$(LINK_asan) -o $@ $^ $(LIBS_asan)

$(OUT)/asan/tests/fuzz/%_fuzz: $(OUT)/asan/tests/fuzz/%_fuzz.o $(OUT)/asan/tests/fuzz/replay_main.o $(OUT)/asan/libtest.a $(OUT)/asan/libcaisson.a
	$(call say,LINK,$@)
	$(Q)$(LINK_asan) -o $@ $^ $(LIBS_asan)
$(OUT)/fuzz/tests/fuzz/%_fuzz: $(OUT)/fuzz/tests/fuzz/%_fuzz.o $(OUT)/fuzz/libtest.a $(OUT)/fuzz/libcaisson.a
	$(call say,LINK,$@)
	$(Q)$(LINK_fuzz) -o $@ $^ $(LIBS_fuzz)

# ---- Targets for people ----------------------------------------------------------------------------------------------

.PHONY: help test test-asan test-preload test-minivmm test-boot test-io test-container test-qemu test-run test-attack test-attack-asan test-hardening test-seccomp test-faults test-kill test-pod fuzz-replay fuzz-build check-clang x86diff \
	bench-cpu guests guest-init bench-init bench-io-init io-tool lib softhv-preload deps sbom sources format clean FORCE \
	menuconfig olddefconfig defconfig savedefconfig config-dev config-node config-tiny

guest-init: $(OUT)/guest-init ## build build/<config>/guest-init, the first process of guests
lib: $(OUT)/musl/libcaisson.a ## build only libcaisson.a, all of caisson but main.c
bench-init: $(OUT)/bench-init ## build build/<config>/bench-init, which scripts/bench boot runs in guests
bench-io-init: $(OUT)/bench-io-init ## build build/<config>/bench-io-init, which scripts/bench io runs in guests and beside them
io-tool: $(OUT)/io-tool ## build build/<config>/io-tool, which moves data in and out of guests and lists file operations
guests: $(guests:tests/guests/%.S=$(OUT)/guests/%.bin) ## assemble the bare-metal guests to build/<config>/guests/<name>.bin

test_programs = $(patsubst %.c,$(OUT)/$(1)/%,$(tests))
test: $(call test_programs,musl) guests $(call objects,musl,$(srcs)) ## build with musl and run all unit tests, tests/layers_test, tests/abi_coverage_test, tests/fuzz/decoders_test and tests/seccomp/table_test
	@BUILD=$(BUILD) OBJECTS=$(OUT)/musl TOOL=$(OUT)/seccomp-rules scripts/run-tests musl $(OUT)/musl $(call test_programs,musl) $(if $(T),,tests/layers_test tests/abi_coverage_test tests/fuzz/decoders_test $(if $(CONFIG_SECCOMP),tests/seccomp/table_test))
test-asan: $(call test_programs,asan) guests ## the same tests with ASan and UBSan against glibc
	@BUILD=$(BUILD) scripts/run-tests asan $(OUT)/asan $(call test_programs,asan)
minivmm-preload := $(if $(CONFIG_SOFTHV_PRELOAD),$(OUT)/libcaisson-softhv.so)
test-minivmm: $(OUT)/minivmm/soft $(OUT)/minivmm/libc $(minivmm-guests:tests/minivmm/%.S=$(OUT)/minivmm/%.bin) $(minivmm-preload) ## run tests/minivmm: an independent VMM on softhv, linked and preloaded
	@MINIVMM=$(OUT)/minivmm PRELOAD=$(minivmm-preload) BUILD=$(BUILD) scripts/run-tests minivmm $(OUT)/minivmm tests/minivmm/run_test
test-boot: $(OUT)/caisson ## run whole guests: tests/run/boot_test, with the kernels of scripts/guest-kernel
	@CAISSON=$(OUT)/caisson BUILD=$(BUILD) TEST_TIMEOUT=1150 scripts/run-tests boot $(OUT)/boot tests/run/boot_test
test-io: $(OUT)/caisson $(OUT)/io-tool $(if $(CONFIG_POD_NET),$(OUT)/pod-attach) ## run tests/run/io_test: devices of whole guests, from both sides (IO_BYTES: through each of them)
	@CAISSON=$(OUT)/caisson IO_TOOL=$(OUT)/io-tool POD_ATTACH=$(OUT)/pod-attach BUILD=$(BUILD) TEST_TIMEOUT=1150 scripts/run-tests io $(OUT)/io tests/run/io_test
container-tests := $(patsubst %,$(OUT)/musl/tests/guest-init/container/%_test,container pause rootfs)
test-container: $(OUT)/caisson $(container-tests) ## run tests/guest-init/container/guest_test: containers inside a guest, with a kernel of scripts/guest-kernel
	@CAISSON=$(OUT)/caisson PROGRAMS="$(container-tests)" BUILD=$(BUILD) scripts/run-tests container $(OUT)/container tests/guest-init/container/guest_test
test-qemu: $(OUT)/qemu/init $(OUT)/libcaisson-softhv.so ## run tests/qemu: Debian unstable's QEMU on softhv (docs/preload.md)
	@QEMU_INIT=$(OUT)/qemu/init PRELOAD=$(OUT)/libcaisson-softhv.so BUILD=$(BUILD) scripts/run-tests qemu $(OUT)/qemu tests/qemu/qemu_test
test-run: $(OUT)/caisson $(OUT)/run/guest ## run tests/run: caisson run from outside, with a guest of one page (KERNEL=<bzImage>: that one cut short, too)
	@CAISSON=$(OUT)/caisson GUEST=$(OUT)/run/guest KERNEL=$(KERNEL) BUILD=$(BUILD) scripts/run-tests run $(OUT) tests/run/run_test
test-attack: $(OUT)/caisson $(attacks) ## run tests/guests/attack_test: guests that attack the monitor, beside a neighbour (docs/attacks.md)
	@CAISSON=$(OUT)/caisson GUESTS=$(OUT)/attack BUILD=$(BUILD) scripts/run-tests attack $(OUT)/attack tests/guests/attack_test
test-attack-asan: $(OUT)/asan/caisson $(attacks) ## the same against a caisson with ASan and UBSan
	@CAISSON=$(OUT)/asan/caisson SANITIZED=1 GUESTS=$(OUT)/attack BUILD=$(BUILD) scripts/run-tests attack-asan $(OUT)/asan tests/guests/attack_test
test-hardening: $(OUT)/caisson $(OUT)/caisson-counted $(OUT)/seccomp-rules $(OUT)/attack/neighbour.guest $(OUT)/attack/share.guest ## run tests/hardening: memory of a running machine, and who allocates for its guest
	@CAISSON=$(OUT)/caisson COUNTED=$(OUT)/caisson-counted TOOL=$(OUT)/seccomp-rules GUESTS=$(OUT)/attack OUT=$(OUT)/hardening BUILD=$(BUILD) \
		scripts/run-tests hardening $(OUT)/hardening $(call chosen,tests/hardening/memory_test tests/hardening/allocation_test)
test-kill: $(OUT)/caisson $(OUT)/kill-at ## run tests/faults/kill_test: processes killed at places of a sandbox's life (KILL_POINTS: 13 of them)
	@CAISSON=$(OUT)/caisson KILL_AT=$(OUT)/kill-at KILL_POINTS=$${KILL_POINTS:-13} BUILD=$(BUILD) TEST_TIMEOUT=1750 TEST_GRACE=60 scripts/run-tests kill $(OUT)/kill tests/faults/kill_test
pod-tests := tests/pod/pods_test tests/oci/oci_test tests/pod/containerd_test tests/pod/podman_test tests/pod/agent_test tests/pod/compare_proto
test-pod: $(OUT)/caisson ## run tests/pod and tests/oci: the agent, pods, containerd, podman and the OCI specification, with the kernels of scripts/guest-kernel
	@rm -rf $(OUT)/pod/results && mkdir -p $(OUT)/pod/results
	@CAISSON=$(OUT)/caisson RESULTS=$(abspath $(OUT)/pod/results) BUILD=$(BUILD) TEST_TIMEOUT=900 TEST_GRACE=60 scripts/run-tests pod $(OUT)/pod $(call chosen,$(pod-tests))
	$(if $(T),,@tests/oci/conformance $(OUT)/pod/results/oci_test)
test-seccomp: $(OUT)/caisson $(OUT)/seccomp-record $(OUT)/seccomp/list $(OUT)/io-tool $(OUT)/run/guest $(if $(CONFIG_POD_NET),$(OUT)/pod-attach) ## run tests/seccomp/rules_test: whole machines, and whether they use every rule of policy/seccomp/
	@OUT=$(OUT) BUILD=$(BUILD) TEST_TIMEOUT=1150 TEST_GRACE=60 scripts/run-tests seccomp $(OUT)/seccomp tests/seccomp/rules_test
# Guest-init runs in guests: here as its unit tests run it.
fault-programs := $(if $(CONFIG_AGENT),$(patsubst %,$(OUT)/musl/tests/guest-init/agent/%_test,$(if $(FAULTS),server) process containers sandbox copy journal))
test-faults: $(OUT)/caisson $(OUT)/fault-inject $(OUT)/run/guest $(OUT)/faults/guest $(fault-programs) ## run tests/faults: each system call and allocation of a run fails once (FAULTS=all: in each way; docs/faults.md)
	@OUT=$(OUT) LIBRARIES="$(libs:%=$(DEPS)/musl/lib%.a)" PROGRAMS="$(fault-programs)" BUILD=$(BUILD) TEST_TIMEOUT=1150 TEST_GRACE=30 scripts/run-tests faults $(OUT)/faults tests/faults/faults_test
	@sed -n '/^| scenario/,/^| all/p' $(OUT)/faults/tests/faults/faults_test.log
# The longest first, as two run at a time.
trust-tests := tests/trust/verity_test $(filter-out %/verity_test,$(sort $(wildcard tests/trust/*_test)))
test-trust: $(OUT)/caisson $(OUT)/trust-tool $(OUT)/io-tool ## run tests/trust: evidence, policies and verified images, judged by tools of others
	@CAISSON=$(OUT)/caisson TRUST_TOOL=$(OUT)/trust-tool IO_TOOL=$(OUT)/io-tool BUILD=$(BUILD) TEST_TIMEOUT=900 TEST_GRACE=60 scripts/run-tests trust $(OUT)/trust $(call chosen,$(trust-tests))
fuzz-replay: $(patsubst %.c,$(OUT)/asan/%,$(call chosen,$(fuzzers))) ## run every fuzzer's corpus once, with ASan and UBSan, then changed inputs for FUZZ_SECONDS (0)
	@BUILD=$(BUILD) scripts/run-tests fuzz-replay $(OUT)/asan $^
fuzz-build: $(patsubst %.c,$(OUT)/fuzz/%,$(call chosen,$(fuzzers))) ## build the fuzzers with clang and libFuzzer, in build/<config>/fuzz/tests/fuzz/
check-clang: $(call objects,clang,$(everything)) $(if $(CONFIG_SOFTHV),$(call objects,so-clang,$(preload) $(preload-tests))) ## compile every source and test with clang, warnings being errors
	@echo "check-clang: $(words $^) files compile without a warning under $$($(CLANG) --version | head -n 1)"
x86diff: $(OUT)/x86diff ## build build/<config>/x86diff, the differential tester of vmm/x86/
bench-cpu: $(OUT)/bench-cpu ## build build/<config>/bench-cpu, which scripts/bench runs
softhv-preload: $(OUT)/libcaisson-softhv.so ## build build/<config>/libcaisson-softhv.so, softhv for other programs (docs/preload.md)
test-preload: $(patsubst %.c,$(OUT)/so/%,$(preload-tests)) ## run the tests of that library
	@BUILD=$(BUILD) scripts/run-tests preload $(OUT)/so $^
deps: $(DEPS)/ok ## fetch and build the libraries, unless the cache has them
sbom: $(OUT)/caisson ## write build/sbom.spdx.json: what went into the binary
	@scripts/sbom $(OUT) $(DEPS)/manifest $(BUILD)/sbom.spdx.json

sources: ; @printf '%s\n' $(srcs) ## list the sources that this configuration compiles

menuconfig: ; @[ -e .config ] || $(MAKE) -s config-dev; $(kconfig) menuconfig Kconfig ## edit .config
config-dev config-node config-tiny: ## make .config from that preset (everything; production; the least)
	@$(kconfig) defconfig --kconfig Kconfig scripts/configs/$(@:config-%=%)
defconfig: config-dev ## the same as config-dev
olddefconfig: ; @$(kconfig) olddefconfig Kconfig ## complete .config with defaults for what it does not name
savedefconfig: ; @$(kconfig) savedefconfig --kconfig Kconfig --out $(BUILD)/defconfig && echo $(BUILD)/defconfig ## write what differs from the defaults

format: ## format the sources with clang-format (F=<files>: only those)
	clang-format -i $(or $(F),$(shell git ls-files -co --exclude-standard '*.[ch]'))
clean: ## remove build/ (not the libraries' cache, not .config)
	rm -rf $(BUILD)
help: ## this list
	@sed -n 's/^\([a-z][a-z0-9 -]*\):.*## \(.*\)/\1#\2/p' Makefile | sort | awk -F'#' '{ printf "  %-36s %s\n", $$1, $$2 }'
