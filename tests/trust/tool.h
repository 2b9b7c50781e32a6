/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * trust-tool: what the programs of tests/trust need from caisson's own code, to compare it with tools of others. Each
 * sub-command is a function in a file tool_<name>.c; argv[0] is its name. They return an exit code.
 */
#ifndef CAISSON_TESTS_TRUST_TOOL_H
#define CAISSON_TESTS_TRUST_TOOL_H

/* evidence FOLDER p256|p384|rsa [bound]: write a pod's evidence, with node.pem and policy.json, into a folder. */
int tool_evidence(int argc, char **argv);
/* crypto OPERATION FILE...: keys, signatures, secrets, certificates and tokens. Exit code 1: refused. */
int tool_crypto(int argc, char **argv);

/*
 * log FILE [BYTES]: write a made-up log with every kind of event, filled up to that many bytes.
 * measured-log FILE: write the log of a made-up machine and pod by boot_measure.
 * replay FILE: print a log's registers, "sha256:0 HEX" each. 1: it is refused; the words are on stderr.
 */
int tool_log(int argc, char **argv);
int tool_measured_log(int argc, char **argv);
int tool_replay(int argc, char **argv);

/*
 * quote FOLDER KEY.pem NONCE BANK MASK: sign registers of the made-up log; nonce and mask in hexadecimal. Writes
 * quote.msg, quote.sig, quote.pcrs, eventlog.bin, ak.pem, ak.tpm (TPM2B_PUBLIC) and ak.name.
 * read-quote, read-signature, read-registers FILE: print what is in it, "NAME VALUE" each. 1: it is refused.
 */
int tool_quote(int argc, char **argv);
int tool_read_quote(int argc, char **argv);
int tool_read_signature(int argc, char **argv);
int tool_read_registers(int argc, char **argv);

#endif
