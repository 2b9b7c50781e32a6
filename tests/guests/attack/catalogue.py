# SPDX-License-Identifier: Apache-2.0
"""The attacks: what each does, how it has to end. attack_test runs them in this order, and makes docs/attacks.md."""
import collections

Row = collections.namedtuple("Row", "family name what ends code says lines cpus descriptors mib options")

SURVIVED = "the guest gets on; all devices work after a reset"


def row(name, what, ends=SURVIVED, code=119, says="ended by a signal (Terminated)", lines=1, cpus=2, descriptors=0,
        mib=0, options=()):
    """code, says: exit code of caisson, and what its line says; 119 is the runner's signal, after the guest has "
        "survived.
    descriptors, mib: what the guest may make the process hold, beyond what one that behaves makes it hold."""
    return Row(None, name, what, ends, code, says, lines, cpus, descriptors, mib, options)


def unserved(name, what):
    return row(name, what, "caisson ends the guest: 117", 117, "cannot complete the guest's access to a device")


BROKEN = "the device asks for a reset (DEVICE_NEEDS_RESET) and works after it; the others do not notice"

# Family: title, class of bug that it is aimed at, rows.
FAMILIES = {
    "ring": ("Rings",
        "unbounded walks, indices out of bounds, sums that overflow, reading twice what was checked once", [
        row("cycle_self", "a descriptor that is its own next one, in each queue of each device", BROKEN),
        row("cycle_whole_ring", "a circle of all descriptors", BROKEN),
        row("cycle_of_empty_buffers", "a circle of buffers without bytes, so that no sum grows", BROKEN),
        row("cycle_indirect", "a circle in an indirect table", BROKEN),
        row("indirect_nested", "an indirect table inside of itself", BROKEN),
        row("lengths_outside_of_memory", "buffers at the end of RAM, around 2^64, in windows of devices", BROKEN),
        row("lengths_table_too_long", "indirect tables longer than the ring, of almost 4 GiB, of 17 bytes", BROKEN),
        row("lengths_beyond_4_gib", "chains of 4 GiB and more", BROKEN),
        row("lengths_all_memory", "requests of 60 times all of memory, rings and program included"),
        row("index_jumps", "available indices that run ahead by the ring's size and more, or back", BROKEN),
        row("index_beyond_table", "heads and next fields beyond the table", BROKEN),
        row("buffers_in_wrong_order", "a readable buffer behind a writable one", BROKEN),
        row("same_head_many_times", "one descriptor posted as often as the ring has room"),
        row("rings_outside_of_memory",
            "parts of rings unaligned, at the end of RAM, around 2^64, in windows of devices; sizes that cannot be",
            BROKEN),
        row("rings_over_each_other", "all three parts of a ring in one place full of random numbers"),
        row("device_writes_over_its_ring", "buffers that are the ring itself"),
        row("rewritten_while_read",
            "another processor rewrites descriptors and indirect tables while the device reads them"),
        row("doorbell_flood", "tens of thousands of notifications of queues that are not there, of every width"),
    ]),
    "packed": ("Packed rings",
        "flags of the wrong round, chains longer than the ring, used slots written over others (OpenVMM #3990)", [
        row("chain_all_round", "a chain of all slots that does not end, with and without bytes", BROKEN),
        row("lengths_and_tables", "buffers around 2^64 and the end of RAM, tables too long or behind a buffer", BROKEN),
        row("flags_at_random", "random flags, ids and lengths in all slots"),
        row("events_that_are_none", "interrupts wanted for slots that are not there"),
        row("buffers_over_the_ring", "buffers that are the ring itself"),
        row("odd_sizes", "rings of 1 to 63 slots"),
        row("rewritten_while_read", "another processor rewrites slots and flags while the device reads them"),
    ]),
    "config": ("Configuration and resets",
        "registers that change after activation (CVE-2026-5747), memory used after a reset, races between processors", [
        row("queue_grows_while_in_use", "sizes, addresses and enable of a queue written after DRIVER_OK",
            "the registers stay as they were, requests go on"),
        row("features_change_while_in_use", "features and FEATURES_OK written after DRIVER_OK", "requests go on"),
        row("driver_ok_without_features", "features that were not offered, then DRIVER_OK", BROKEN),
        row("status_in_every_order", "every status after every other"),
        row("common_registers_at_random", "random values in the common configuration, at every width and alignment"),
        row("device_configuration_at_random", "the same in the configuration of devices, and behind its end"),
        row("pci_configuration_at_random",
            "the same in the configuration space of all functions, by ports and by memory"),
        row("pci_window_at_random",
            "every BAR, offset and length in the capability that reaches BARs through configuration space"),
        row("reset_storm", "thousands of resets of each device"),
        row("setup_storm", "set-up, a request, and reset before it is answered"),
        row("reset_while_served", "another processor resets devices at any moment of their set-up and work"),
        row("configured_by_two", "another processor writes queues, features and status during set-up"),
        row("hidden_while_served",
            "another processor switches memory space off and moves the BAR of a device that works"),
    ]),
    "msix": ("MSI-X",
        "interrupts of vectors that are not there (CVE-2024-4693), routes that a guest makes without end", [
        row("addresses_that_are_none",
            "messages to RAM, to other devices, beyond 4 GiB, to processors that are not there"),
        row("data_of_every_kind", "every delivery mode, vectors below 32, level-triggered, reserved bits"),
        row("masks_flicker", "entries and functions masked and unmasked while the vector fires"),
        row("messages_flicker", "a new message, thousands of times"),
        row("enable_flickers", "MSI-X on and off while the vector fires"),
        row("writes_of_odd_sizes", "table and pending bits written at every width and alignment, and behind their end"),
        row("vectors_beyond_the_table", "vectors for queues and configuration that the table has not"),
        row("programmed_while_fired", "another processor rewrites the table while vectors fire"),
    ]),
    "access": ("Memory and ports of devices",
        "accesses of a size or at an offset that a device does not expect, work without bound in one exit", [
        row("reads_at_every_alignment", "reads of 1 to 8 bytes at each offset of windows and holes"),
        row("writes_at_every_alignment", "the same with writes"),
        row("accesses_across_pages",
            "13 kinds of instructions over the border between two devices, or RAM and nothing"),
        row("every_kind_of_instruction", "locked, stack and string instructions on registers of devices"),
        row("long_strings_over_devices", "string instructions that fill devices and copy one to another"),
        row("page_tables_in_devices", "page tables that are registers of devices"),
        unserved("vector_instruction_on_device", "MOVUPS on a register of a disk"),
        unserved("masked_store_on_device", "MASKMOVDQU on it"),
        unserved("x87_instruction_on_device", "FLD of 80 bits from it"),
        unserved("state_saved_on_device", "FXSAVE over it"),
        unserved("tables_stored_on_device", "SGDT and SIDT into it"),
        unserved("far_jump_through_device", "a far jump through a pointer in it"),
        unserved("frame_in_device", "IRET with the stack in it"),
        unserved("segments_from_device", "a segment from a descriptor table in it"),
        row("every_port_in_every_size", "every port read and written in every size"),
        row("strings_of_ports_without_end",
            "REP OUTS of 2^40 to 2^64 elements through RAM, devices and holes, up and down",
            "it goes on until it meets a page that is not there, as on a processor"),
        row("strings_into_devices", "REP INS into RAM's end, devices and addresses that are none"),
        row("string_is_interrupted",
            "REP OUTS of 2^40 elements that another processor interrupts; the run ends in the midst of it",
            "the interrupt comes, the run ends"),
    ]),
    "interrupt": ("Interrupts", "queues of interrupts without bound, states of processors that cannot be, livelock", [
        row("self_ipi_flood", "30,000 interrupts to itself, of all vectors"),
        row("ipi_flood_between_processors", "two processors that flood each other"),
        row("broadcast_flood", "broadcasts of every kind to four processors", cpus=4),
        row("interrupts_never_completed", "240 vectors in service, one inside the other"),
        row("nmi_flood", "10,000 NMIs to the other processor"),
        row("init_and_sipi_storm", "INIT and SIPI to processors in every state, with vectors that lead nowhere"),
        row("every_command_of_the_icr",
            "random commands to the local APIC, reserved modes and destinations that are not there"),
        row("apic_mode_changes", "a processor switches its APIC through xAPIC, x2APIC and off while it is flooded"),
        row("registers_of_the_apic", "random values in the APIC's registers, read-only ones included"),
        row("level_that_never_falls", "a level-triggered line that stays high through 5,000 ends of interrupt"),
        row("lines_flicker", "mask, trigger mode and destination of a pin changed while its line moves"),
        row("entries_at_random", "random values in the I/O APIC"),
        row("everything_at_once", "messages of a device, a level, and IPIs of both processors at once"),
    ]),
    "timer": ("Timers", "timers that leave no time for anything else, on the host or in the guest", [
        row("apic_periods_of_nothing", "the APIC's timer with the shortest period",
            "expiries are merged, the guest gets on"),
        row("apic_dividers_and_modes", "the timer set up 20,000 times, in every mode"),
        row("apic_vectors_that_are_none", "vectors below 16", "nothing is delivered"),
        row("deadlines_in_the_past", "TSC deadlines in the past, now, and never"),
        row("synthetic_periods_of_nothing", "all synthetic timers of two processors with periods of 100 ns",
            "expiries are merged, the guest gets on"),
        row("synthetic_messages_nobody_takes", "timers whose messages find their slot taken"),
        row("synthetic_registers_at_random", "random configurations and counts"),
    ]),
    "hypervisor": ("Hypercalls and pages of the hypervisor",
        "parameters read twice or from outside of memory, work without bound in one call, pages that hide others", [
        row("every_call_code", "hypercalls of all codes"),
        row("control_words_at_random", "known codes with random control words, headers and addresses"),
        row("parameters_out_of_memory", "parameters at the end of RAM, in devices, beyond all addresses",
            "the call is refused"),
        row("repeat_counts", "lists of up to 4,095 elements that begin behind their end; ranges of all addresses"),
        row("flush_and_ipi_storm", "flushes and IPIs to all processors, thousands of times"),
        row("call_from_user_mode", "hypercalls of ring 3", "the guest's own exception"),
        row("overlays_everywhere", "the hypervisor's pages over memory, devices, nothing and each other"),
        row("messages_over_rings", "SynIC pages over each part of a ring that is in use, with messages coming in",
            "the device goes on with the memory below; all devices work after a reset"),
        row("overlays_move_while_used", "another processor moves overlays over buffers that a device fills"),
        row("every_synthetic_register", "all synthetic registers, with all bits and at random"),
        row("every_register_of_the_processor", "all other registers, likewise"),
    ]),
    "disk": ("Disks",
        "sectors and ranges that overflow, requests that change while they are served, read-only not enforced (Kata "
        "CVE-2026-24834)", [
        row("sectors_beyond_the_end", "sectors behind the end, around 2^55 and 2^64",
            "an I/O error, and zeroes in the buffer"),
        row("sizes_that_are_no_sectors", "parts of sectors, data of the wrong direction", "an I/O error"),
        row("types_of_every_number", "requests of all types", "unsupported"),
        row("short_headers", "headers of 0 to 15 bytes", "an I/O error"),
        row("no_room_for_status", "a request without room for its status", BROKEN),
        row("writes_to_a_read_only_disk", "writes, discards and zeroes on a read-only disk",
            "an I/O error; the image is as before"),
        row("ranges_that_overflow", "discards and zeroes of ranges that are none, of too many, of half a range",
            "an error, and nothing is done"),
        row("request_changes_while_served", "type and sector change between the turns of a long request"),
        row("costly_requests_flood", "rings full of flushes, discards and zeroes", "all are done, one turn each"),
    ]),
    "network": ("Networks",
        "offsets of checksums and segmentation that the host's kernel believes, frames of the wrong length", [
        row("lengths_that_are_no_frames", "frames of 0 to 64 bytes, beyond 64 KiB, of all memory",
            "dropped; what leaves has 14 to 65,550 bytes"),
        row("lies_about_offloads", "random headers, with and without the features they need", "dropped or cleaned"),
        row("checksums_at_the_border", "checksums at, over and far behind the frame's end",
            "dropped if not inside of the frame"),
        row("frames_in_many_pieces", "frames of hundreds of buffers, of 0 to 19 bytes each"),
        row("commands_at_random", "random commands of random lengths on the control queue", "an error is the answer"),
        row("pairs_that_are_not_there", "more pairs of queues than there are, and none", "an error is the answer"),
        row("receive_buffers_too_small", "receive buffers of 0 to 39 bytes over the ring itself, readable ones"),
        row("largest_frames_flood", "frames of 65,000 bytes without end; the run ends in the midst of it"),
    ]),
    "balloon": ("Balloon", "pages that are not the guest's, pages given twice, pages that something still uses", [
        row("pages_outside_of_memory", "page numbers behind the end of RAM and around 2^32", "they are ignored"),
        row("pages_doubled", "one page given away 1,024 times, and taken back as often"),
        row("pages_of_the_rings", "the ring itself and the page of numbers given away while they are read"),
        row("odd_lengths", "numbers cut short, unaligned, writable; all of memory as numbers"),
        row("reports_without_end", "the same 8 MiB reported as free 64 times in a chain; pieces of pages",
            "whole pages are given back, no others"),
        row("reported_while_used", "one processor writes to pages that the other reports as free"),
        row("sizes_that_are_lies", "random sizes of the balloon"),
    ]),
    "ending": ("Ends and output",
        "ends that leave something behind or come twice, output that fills memory or holds up the machine", [
        row("triple_fault", "a triple fault while devices are busy for the other processor", "caisson ends: 116", 116,
            "could not deliver an exception"),
        row("triple_fault_of_the_other", "a triple fault of the second processor", "caisson ends: 116", 116,
            "VP 1 could not deliver"),
        row("triple_faults_of_all", "four processors fault at once", "caisson ends, with one of them: 116", 116,
            "could not deliver", cpus=4),
        row("page_tables_lost", "page tables where nothing is",
            "it gets nowhere; caisson ends after --ready-timeout: 112", 112, "not ready within 1 s", lines=4,
            options=("--ready-timeout", "1")),
        row("runs_in_a_device", "a jump into a device's registers", "caisson ends: 117", 117,
            "fetches an instruction at c0080000"),
        row("runs_behind_memory", "a jump behind the end of RAM", "caisson ends: 117", 117,
            "fetches an instruction at 4000000"),
        row("reset_by_acpi", "reset while devices are busy", "caisson ends: 114", 114, "reset itself"),
        row("reset_by_keyboard", "the same by port 64h", "caisson ends: 114", 114, "reset itself"),
        row("reset_by_pci", "the same by port CF9h", "caisson ends: 114", 114, "reset itself"),
        row("switches_off", "power off while devices are busy", "caisson ends: 115", 115, "switched off"),
        row("exit_while_busy", "debug exit while devices are busy", "caisson ends with the guest's code", 42, "",
            lines=0),
        row("all_ends_at_once", "reset, power off and a triple fault by three processors at once",
            "caisson ends with one of them", (114, 115, 116), "", cpus=4),
        row("never_gets_ready", "all processors spin with interrupts off", "caisson ends after --ready-timeout: 112",
            112, "not ready within 1 s", lines=4, options=("--ready-timeout", "1")),
        row("halts_for_ever", "all processors halt with interrupts off", "caisson ends after --ready-timeout: 112",
            112, "not ready within 1 s", lines=4, options=("--ready-timeout", "1")),
        row("console_flood", "64 KiB of random bytes in one instruction",
            "output that nobody reads in time is dropped; the guest gets on"),
        row("console_escapes", "escape sequences for terminals"),
        row("second_console_flood", "2.5 MiB on the virtio console"),
        row("session_of_garbage", "random bytes where the first process speaks",
            "no session begins; caisson ends after --ready-timeout: 112", 112, "not ready within 2 s", lines=4,
            options=("--ready-timeout", "2")),
        row("session_never_read", "messages without end there", "caisson ends: 118", 118,
            "the session with the guest's first process broke"),
        row("panic_reports", "thousands of notices of a panic"),
    ]),
    "vsock": ("Sockets",
        "packets whose length is not what is there (CVE-2019-18960), connections, buffers and answers without bound", [
        row("connects_to_nobody", "3,000 connections to ports where nobody listens", "each is refused", descriptors=8),
        row("connection_flood", "1,323 connections to one program", "1,023 at most are made, the others are refused",
            descriptors=1030, mib=8),
        row("connect_and_leave", "thousands of connections, shut down and reset at once", descriptors=1030),
        row("protocol_out_of_order", "operations in random order on a few ports", descriptors=8),
        row("headers_at_random", "random addresses, ports, types, operations and lengths", descriptors=8),
        row("lengths_that_lie", "lengths longer and shorter than what is there, headers cut short", descriptors=16),
        row("data_beyond_credit", "4 MiB for each of eight connections whose reader does not read",
            "connections are reset; what the process holds is bounded", descriptors=16),
        row("room_that_is_none", "room for 10 bytes, and a peer that sends 40,000", "10 bytes come", descriptors=8),
        row("credit_that_jumps", "random credit in every packet", descriptors=80),
        row("credit_requests_flood", "thousands of requests for credit", descriptors=8),
        row("answers_nobody_takes", "20,000 connections by a driver without receive buffers", "answers are bounded"),
        row("buffers_too_small", "receive buffers of 0 to 49 bytes, and readable ones"),
    ]),
    "share": ("Shared folders",
        "names and links that lead out of the folder (Kata CVE-2026-47243), numbers of nothing, tables without bound", [
        row("lengths_that_lie", "every operation with a header that claims 0 to 4 GiB", descriptors=64),
        row("replies_without_room", "every operation with room for 0 to 200 bytes", descriptors=64),
        row("operations_at_random", "5,000 random operations with random arguments", descriptors=2100),
        row("names_that_lead_out", "'..', '/', 'a/b', '' and others as names of nine operations",
            "an error; nothing beside the folder is touched", descriptors=8),
        row("names_without_end", "names without a NUL, and of thousands of bytes", "an error", descriptors=8),
        row("links_that_lead_out", "symbolic links to the host's files, looked through and opened",
            "an error; they are not followed", descriptors=8),
        row("devices_are_not_made", "MKNOD of devices", "an error", descriptors=8),
        row("numbers_of_nothing", "nodes and handles that nobody was told of", "an error", descriptors=8),
        row("forgets_without_end", "FORGET of the root, of 2^64 uses, of lists that are shorter than they claim",
            descriptors=8),
        row("huge_directories", "listings of 4 GiB from random positions into little room", descriptors=8),
        row("open_files_flood", "more open files than there may be", "4,096 at most", descriptors=4110, mib=8),
        row("nodes_flood", "2,400 folders, 60 deep", "2,048 descriptors at most", descriptors=2100, mib=8),
        row("offsets_without_measure", "writes, sizes and room around 2^63, more to write than there is", "an error",
            descriptors=8),
    ]),
}


def families():
    """Names and rows, in order."""
    return [(family, [r._replace(family=family) for r in rows]) for family, (_, _, rows) in FAMILIES.items()]


HEAD = """# Attacks

Guests that do to the monitor what no driver does, each run by `caisson run` on softhv with disks, a shared folder, sockets, a network,
random numbers, a balloon and a console. This list is made from `tests/guests/attack/catalogue.py` by `tests/guests/attack_test --write`; the test fails if
it differs, or if a guest has other cases. `make test-attack` runs all of them, `make test-attack-asan` with AddressSanitizer and UBSan.

For each attack the test sees to it that

- the run ends as the table says, with the exit code and the line that `caisson help run` documents, and without flooding standard error;
- what is asked of the devices after the attack is answered: the guest reads a disk and looks after every other device;
- the process has as many threads as with a guest that behaves, and no more descriptors and memory than the bound of the row;
- the read-only disk, the size of the other one, and what lies beside the shared folder are as before; frames that leave are frames;
- a sandbox next door that counts keeps its memory, and for each family its rate: at least 1/5 of its work in the same time and 1/3 in the
  same processor time as beside a guest that merely computes on as many processors.
"""


def document():
    parts = [HEAD]
    for family, (title, aim, rows) in FAMILIES.items():
        parts.append(f"\n## {title}\n\nAimed at {aim}. Tested by `tests/guests/attack/{family}.c`.\n")
        parts.append("\n| attack | what the guest does | what happens |\n|---|---|---|\n")
        parts += [f"| `{r.name}` | {r.what} | {r.ends} |\n" for r in rows]
    return "".join(parts)
