#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/lib/certificates.c: certificates that another library has signed, good ones and one for each fault.

Run by hand when a case is added (python3-cryptography); signatures are new each time. Keys: tests/lib/keys.c.
"""
import datetime
import hashlib
import os
import re

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

HERE = os.path.dirname(os.path.abspath(__file__))
UTC = datetime.timezone.utc


def test_key(name):
    """A private key of keys.c."""
    with open(os.path.join(HERE, "keys.c"), encoding="ascii") as f:
        text = re.search(rf"char {name}\[\] =(.*?);", f.read(), re.S).group(1)
    pem = "\n".join(re.findall(r'"(.*?)\\n"', text))
    return serialization.load_pem_private_key(pem.encode(), None)


def seeded_key(curve, seed):
    return ec.derive_private_key(int.from_bytes(hashlib.sha256(seed).digest(), "big"), curve)


def day(year):
    return datetime.datetime(year, 1, 1, tzinfo=UTC)


def usage(*names):
    every = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{name: name in names for name in every})


LEAF = [(x509.BasicConstraints(ca=False, path_length=None), True), (usage("digital_signature"), True)]


def ca(path_length=None):
    return [(x509.BasicConstraints(ca=True, path_length=path_length), True), (usage("key_cert_sign", "crl_sign"), True)]


def make(subject, key, issuer, issuer_key, extensions, years=(2020, 2040), hash_=None):
    def name(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
    hash_ = hash_ or (hashes.SHA384() if getattr(issuer_key, "curve", None) and issuer_key.curve.name == "secp384r1"
                      else hashes.SHA256())
    builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer))
    builder = builder.public_key(key.public_key()).serial_number(1 + len(subject))
    builder = builder.not_valid_before(day(years[0])).not_valid_after(day(years[1]))
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hash_)


def all_certificates():
    root, mid = seeded_key(ec.SECP384R1(), b"root"), seeded_key(ec.SECP256R1(), b"mid")
    p521 = seeded_key(ec.SECP521R1(), b"p521")
    node, leaf, rsa = test_key("node"), test_key("p256"), test_key("rsa")
    unknown = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00")

    def by_root(extensions, **more):
        return make("node", node, "root", root, extensions, **more)

    def by_node(extensions, **more):
        return make("sandbox", leaf, "node", node, extensions, **more)

    def eku(oid):
        return LEAF + [(x509.ExtendedKeyUsage([oid]), False)]
    return {
        "root": make("root", root, "root", root, ca()),
        "root_expired": make("root", root, "root", root, ca(), years=(2020, 2021)),
        "root_path_0": make("root", root, "root", root, ca(0)),
        "root_no_ca": make("root", root, "root", root, LEAF),
        "rsa_root": make("rsa root", rsa, "rsa root", rsa, ca()),
        "mid_0": make("mid", mid, "root", root, ca(0)),
        "mid_1": make("mid", mid, "root", root, ca(1)),
        "node": by_root(ca(0)),
        "node_self": make("node", node, "node", node, ca(0)),
        "node_by_mid": make("node", node, "mid", mid, ca(0)),
        "node_by_rsa": make("node", node, "rsa root", rsa, ca(0)),
        "node_no_ca": by_root(LEAF),
        "node_no_usage": by_root(ca(0)[:1]),
        "node_other_usage": by_root([ca(0)[0], LEAF[1]]),
        "node_expired": by_root(ca(0), years=(2020, 2021)),
        "node_future": by_root(ca(0), years=(2039, 2040)),
        "node_other_name": make("other", node, "root", root, ca(0)),
        "node_other_key": make("node", mid, "root", root, ca(0)),
        "leaf": by_node(LEAF),
        "leaf_aik": by_node(eku(ObjectIdentifier("2.23.133.8.3"))),
        "leaf_server": by_node(eku(ExtendedKeyUsageOID.SERVER_AUTH)),
        "leaf_no_constraints": by_node(LEAF[1:]),
        "leaf_no_usage": by_node(LEAF[:1]),
        "leaf_agreement": by_node([LEAF[0], (usage("key_agreement"), True)]),
        "leaf_ca": by_node([ca(0)[0], (usage("digital_signature", "key_cert_sign"), True)]),
        "leaf_critical": by_node(LEAF + [(unknown, True)]),
        "leaf_not_critical": by_node(LEAF + [(unknown, False)]),
        "leaf_sha384": by_node(LEAF, hash_=hashes.SHA384()),
        "leaf_p521": make("sandbox", p521, "node", node, LEAF),
        "leaf_expired": by_node(LEAF, years=(2020, 2021)),
    }


def main():
    with open(os.path.join(HERE, "certificates.c"), "w", encoding="ascii") as f:
        f.write("/* SPDX-License-Identifier: Apache-2.0 */\n/* Written by tests/lib/certificates.py. */\n"
                '#include "tests/lib/certificates.h"\n\n#include <string.h>\n\n'
                "static const struct {\n    const char *name, *pem;\n} certificates[] = {\n")
        for name, certificate in all_certificates().items():
            lines = certificate.public_bytes(serialization.Encoding.PEM).decode().strip().split("\n")
            text = "\n".join(f'        "{line}\\n"' for line in lines)
            f.write(f'    {{\n        "{name}",\n{text},\n    }},\n')
        f.write("};\n\nconst char *certificates_pem(const char *name)\n{\n"
                "    for (size_t i = 0; i < sizeof certificates / sizeof certificates[0]; i++)\n"
                "        if (strcmp(certificates[i].name, name) == 0)\n            return certificates[i].pem;\n"
                "    return NULL;\n}\n")


main()
