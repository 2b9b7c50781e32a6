/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_TESTS_LIB_EVIDENCE_KEYS_H
#define CAISSON_TESTS_LIB_EVIDENCE_KEYS_H

/*
 * Keys and certificates for tests only, made by openssl; everybody knows them. They are fixed, so that failures repeat.
 */

#define EVIDENCE_RIG_POD_P256                                                                                          \
    "-----BEGIN PRIVATE KEY-----\n"                                                                                    \
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgAoymtVhnd3q1N3Jr\n"                                               \
    "0fiumHEITgyLHfrQmdbhykKbA4OhRANCAAR5pwDzWe27NMxif1Ww+ahTliCBfh93\n"                                               \
    "jJFBHpGfVY6w+xIRBwOlt3BD40cpy0paTmjhY8QtAZFSvSXrNTMusD6U\n"                                                       \
    "-----END PRIVATE KEY-----\n"

#define EVIDENCE_RIG_POD_P384                                                                                          \
    "-----BEGIN PRIVATE KEY-----\n"                                                                                    \
    "MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDB9l4AzYlLyjfcXY4JU\n"                                               \
    "DEciIhyipB/uk3yhz5+EA8G4JPshl5yn6uMvPsDc50B6l2ehZANiAASIZmWuypxw\n"                                               \
    "UuZ9ob3iEqU4J+79IzLl7PJS+jVY7U3TgbJoLXEKG/4kgzQZJ/xN7YYqoAwuhMbu\n"                                               \
    "YS9AJsr/re/Cp57tFJoRlht1YI377TefII5XudW2AdRJMWo0SgC2kbA=\n"                                                       \
    "-----END PRIVATE KEY-----\n"

#define EVIDENCE_RIG_POD_RSA                                                                                           \
    "-----BEGIN PRIVATE KEY-----\n"                                                                                    \
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCmslziBbWOJX/R\n"                                               \
    "VISQNbi2gczRrZ/C2yZbKTnxyHbD4uZUpBQyQcyOqIL7FFFz13vGKJA9MUoMH3PR\n"                                               \
    "rKA1hYrEbmYv4C+2UzEAl0114N03ofO4NGf+TfIyoo+XmPI+wUZbx6oC3sNVoppw\n"                                               \
    "TszV96dyvHpZRJ3SI+UU+j9qQHriNYBnw9wwUxzxsokU7XGnI3WEOxPzMJqOAaxo\n"                                               \
    "GTnl2pNKY5ywd0U7zStMn1FA14B7+Foiqq0/UmA3idxOe/BkMfbJn6cKs8zt+d+n\n"                                               \
    "MYAzav0Cfg79s1mLJXWHQ6caxYyIzcf5Wc594qAB/0MbipfYZTHnbnGp3K4oUZu0\n"                                               \
    "ERUBFGj5AgMBAAECggEAND7t7qdEbo9hPr4jKEG2KXmINOWaj4t5O5QxxY6DbsTE\n"                                               \
    "VR3x+Ih38PRuzPvixZBxijt3bb5vi1omRj65Hd1Dj2pcm7/DpHzxfFJvpDT8kK2x\n"                                               \
    "Qfgm6eULNoSNxcFZl4KjJyvupKSmC0aB6hZAjAVpVYQuQqFHZ6/5YjhGvOoFubTy\n"                                               \
    "BDvpSbGTs6OOlwgrTW3K4k2+9aQ2LUnOr8Dbb+G2U0+PlaRhtMMGFrjL0djBd5ZL\n"                                               \
    "UwbkSslbqDrFzC/+sX3Mn+y55P5nc2AFRNtl3IVI7lmaNpjezNkrEXJU1fSfihBD\n"                                               \
    "bnPjc0HCebax0imnlOAZMNe29hjLPrLePr8DLlfSwwKBgQDims05g5xHJ3Y3ofPk\n"                                               \
    "Ir1AzfmjbX5/VYtqTpQaK6PqPOaznK6OPmelKGddGAR0PJJm4JO7UguSu6mka8A2\n"                                               \
    "0Ts3RKTWEkuDkl8E3hB/Qgliuji6lVFjgGd5GGaSCmhkQK22mxEj5zw32pHyWsl4\n"                                               \
    "QtjdJJZgJSr/+SaaLXBFDk/C0wKBgQC8UhvGhHjmkA98OL5caTjazrzotMRcZZKX\n"                                               \
    "85mpL+Uvmtv2VFAF8tMu49EGql88bRD6M89zxbXYFsaADEnDVtKnPp7nDv/YhNiO\n"                                               \
    "3InKmSPd7K9I4Hbhv8n4b+sBoVemEGejQnZIZtaxS2Zd5auvBC59Hhzy2uLhe5jY\n"                                               \
    "PXwaV8UNgwKBgGzI8BjaS94E3cXbY+BzpPNFbsC8QewTPzirvIHLzYcX8ZDseQgk\n"                                               \
    "gVFSUjzo2MqMgaQN0B4vRwsMOGaMq9wlGg5wT8nNQp9JV4BYswbExwi0aaN5J3dj\n"                                               \
    "H0mNI0Cc6nymaD6vtszLp6cQsNvuJaYsQTv44pAJh9kW3SdLBQjB1BytAoGAVnU7\n"                                               \
    "20AmYXPyKA3FF5gXSh1wDUYwgFsBmlF0UoBysBBgvA6pTpHU8soUxQKjBpLsIHJ4\n"                                               \
    "46X5fmO2bkM1+kB6Jd5SBbKVM0qKQcxuVl1IYjKvpr2m1q2+hBidw/nWy57sdb+l\n"                                               \
    "nkfYeT0smh8/WvKIhVi14aksUGj2GxDfURjKlxECgYEA1DPS84sq7/WoDobe5+2i\n"                                               \
    "4BKRosH3skkIL5bOa6cA917jqyVcRi7+zIAWU5AJQ/augGS51Om41xu6FohDexSE\n"                                               \
    "uKEajJVo66uQPUUtxph2Eh1gqxJXx7qtfpSopGpScWjUDsiLrcsR4HmOvPdUnrrn\n"                                               \
    "iGl4kR08Q4yiRllJH9Xn+eM=\n"                                                                                       \
    "-----END PRIVATE KEY-----\n"

#define EVIDENCE_RIG_AGENT                                                                                             \
    "-----BEGIN PRIVATE KEY-----\n"                                                                                    \
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgayKC0S+WnW4JSx//\n"                                               \
    "E4A+7d52Zm84w5JhVx96ajIOQWahRANCAASIbyyG+zQ0ECGKPnT7E6qYfT92jESn\n"                                               \
    "MFZClE4KGlWj4LocHUBc4e9co4SebA4hsFUBauUWgnrMpow5XtQPDUPA\n"                                                       \
    "-----END PRIVATE KEY-----\n"

#define EVIDENCE_RIG_NODE                                                                                              \
    "-----BEGIN PRIVATE KEY-----\n"                                                                                    \
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgLOjOQiw+xjm0KFy+\n"                                               \
    "J+AsTJ4644LVbKg7NOj1uDJSebihRANCAASE73I4gF0NgB5BgEYuMGdS/9D5qFT8\n"                                               \
    "4Oy6iFgvf85JQxoywQ0FK9AzZkYtGwWYsSomN2jnvytlRivAcpKf54TP\n"                                                       \
    "-----END PRIVATE KEY-----\n"

#define EVIDENCE_RIG_NODE_CERTIFICATE                                                                                  \
    "-----BEGIN CERTIFICATE-----\n"                                                                                    \
    "MIIBZzCCAQ2gAwIBAgIUE45hLEdpOsuAcNOKELRkdoe0WYEwCgYIKoZIzj0EAwIw\n"                                               \
    "DzENMAsGA1UEAwwEbm9kZTAgFw0yNjExMjYxNjM5NDlaGA8yMTI2MTEwMjE2Mzk0\n"                                               \
    "OVowDzENMAsGA1UEAwwEbm9kZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABITv\n"                                               \
    "cjiAXQ2AHkGARi4wZ1L/0PmoVPzg7LqIWC9/zklDGjLBDQUr0DNmRi0bBZixKiY3\n"                                               \
    "aOe/K2VGK8Bykp/nhM+jRTBDMBIGA1UdEwEB/wQIMAYBAf8CAQAwDgYDVR0PAQH/\n"                                               \
    "BAQDAgIEMB0GA1UdDgQWBBSVQBPrqp/QuKfJ8JlZtSHIh7RI3jAKBggqhkjOPQQD\n"                                               \
    "AgNIADBFAiBN02xBGB4HPYGsrSB8Q7JSDwqjhAMfxKbcVqamzyftjwIhAOiHedBq\n"                                               \
    "dyskcSxEb8Sl7NIH62Ar5G+ru9kBff89JppM\n"                                                                           \
    "-----END CERTIFICATE-----\n"

#define EVIDENCE_RIG_OTHER_NODE_CERTIFICATE                                                                            \
    "-----BEGIN CERTIFICATE-----\n"                                                                                    \
    "MIIBZzCCAQ2gAwIBAgIUIjIBrFwMMmdSdAAtlFaE3wno0wgwCgYIKoZIzj0EAwIw\n"                                               \
    "DzENMAsGA1UEAwwEbm9kZTAgFw0yNjExMjYxNjM5NDlaGA8yMTI2MTEwMjE2Mzk0\n"                                               \
    "OVowDzENMAsGA1UEAwwEbm9kZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABKq9\n"                                               \
    "jjRZQ43nQURXobULvttqBfzzJdnvAuKg6O7c57oqWF4Iv1MVJ/UvZ3w7yc73b91c\n"                                               \
    "HYZ74om6jf4W8hNnBR+jRTBDMBIGA1UdEwEB/wQIMAYBAf8CAQAwDgYDVR0PAQH/\n"                                               \
    "BAQDAgIEMB0GA1UdDgQWBBRqF8AlFoqltUVDzmzecTZIWu4NFjAKBggqhkjOPQQD\n"                                               \
    "AgNIADBFAiBZRa00z9BIV7MU4vMkkmevFbqnPIF3U3lr6RQhNRhahwIhAOgwwfKg\n"                                               \
    "oNwja/LT4sycR0gkEF7dxE+E6TPU6urYOjPS\n"                                                                           \
    "-----END CERTIFICATE-----\n"

/* Of the pod's key on P-256, as openssl makes it. */
#define EVIDENCE_RIG_LEAF                                                                                              \
    "-----BEGIN CERTIFICATE-----\n"                                                                                    \
    "MIIBgTCCASegAwIBAgIUddh3xjojBBSHk/NmlMP4wCdz3kUwCgYIKoZIzj0EAwIw\n"                                               \
    "DzENMAsGA1UEAwwEbm9kZTAgFw0yNjExMjYxNzAxMjdaGA8yMTI2MTEwMjE3MDEy\n"                                               \
    "N1owDjEMMAoGA1UEAwwDd2ViMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeacA\n"                                               \
    "81ntuzTMYn9VsPmoU5YggX4fd4yRQR6Rn1WOsPsSEQcDpbdwQ+NHKctKWk5o4WPE\n"                                               \
    "LQGRUr0l6zUzLrA+lKNgMF4wDAYDVR0TAQH/BAIwADAOBgNVHQ8BAf8EBAMCB4Aw\n"                                               \
    "HQYDVR0OBBYEFFsNiZacfWdAIfSsjJ+UoOprXNUxMB8GA1UdIwQYMBaAFJVAE+uq\n"                                               \
    "n9C4p8nwmVm1IciHtEjeMAoGCCqGSM49BAMCA0gAMEUCIQDgdP/8a8PUhDtICR7I\n"                                               \
    "QuAvDbaJFFrcVjpUgRkBWv622AIgYUzwhVmeLdBgDDS4TxVzlqUPVMdSA87ctVht\n"                                               \
    "PTml5gc=\n"                                                                                                       \
    "-----END CERTIFICATE-----\n"

/* The same with a critical extension that nobody knows. */
#define EVIDENCE_RIG_LEAF_CRITICAL                                                                                     \
    "-----BEGIN CERTIFICATE-----\n"                                                                                    \
    "MIIBlTCCATugAwIBAgIUOiVKyqDuQ1FUnCDLHklmoz/tRZMwCgYIKoZIzj0EAwIw\n"                                               \
    "DzENMAsGA1UEAwwEbm9kZTAgFw0yNjExMjYxNzAxMjdaGA8yMTI2MTEwMjE3MDEy\n"                                               \
    "N1owDjEMMAoGA1UEAwwDd2ViMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeacA\n"                                               \
    "81ntuzTMYn9VsPmoU5YggX4fd4yRQR6Rn1WOsPsSEQcDpbdwQ+NHKctKWk5o4WPE\n"                                               \
    "LQGRUr0l6zUzLrA+lKN0MHIwDAYDVR0TAQH/BAIwADAOBgNVHQ8BAf8EBAMCB4Aw\n"                                               \
    "EgYJKwYBBAGGjR8BAQH/BAIFADAdBgNVHQ4EFgQUWw2Jlpx9Z0Ah9KyMn5Sg6mtc\n"                                               \
    "1TEwHwYDVR0jBBgwFoAUlUAT66qf0LinyfCZWbUhyIe0SN4wCgYIKoZIzj0EAwID\n"                                               \
    "SAAwRQIgWu/aAD2s+/74PTzS5JB3nMgjRM+BXbEyeEtCXdhGMHwCIQCrn8wqQJY9\n"                                               \
    "X8HNqqqBZL9nIsiKFaO4+hYcD/ljtk7nKA==\n"                                                                           \
    "-----END CERTIFICATE-----\n"

/* Of a key on secp256k1. */
#define EVIDENCE_RIG_LEAF_OTHER_CURVE                                                                                  \
    "-----BEGIN CERTIFICATE-----\n"                                                                                    \
    "MIIBfzCCASSgAwIBAgIUDOfZJ4IDKZ5FpACTfCWbWadcgy8wCgYIKoZIzj0EAwIw\n"                                               \
    "DzENMAsGA1UEAwwEbm9kZTAgFw0yNjExMjYxNzAxMjdaGA8yMTI2MTEwMjE3MDEy\n"                                               \
    "N1owDjEMMAoGA1UEAwwDd2ViMFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEFjGSBDi7\n"                                               \
    "s/csz6nzcHnY3f9GAttGabHupTaNYOSJhnRUUoDHYgRLQvPzV62baqn/Dy+pbcVL\n"                                               \
    "c0EY97V5EESdJaNgMF4wDAYDVR0TAQH/BAIwADAOBgNVHQ8BAf8EBAMCB4AwHQYD\n"                                               \
    "VR0OBBYEFHSS4YjoXovhi4cqRnHFrxuOiwmpMB8GA1UdIwQYMBaAFJVAE+uqn9C4\n"                                               \
    "p8nwmVm1IciHtEjeMAoGCCqGSM49BAMCA0kAMEYCIQDUNopcfnkejzeWOSKvIv85\n"                                               \
    "wziEuWrk4hhKr21KdBE+5gIhAIZxmPt8uVAK40h6UfP7C9X/YYaqnZlyNP/J3kJ1\n"                                               \
    "DgL4\n"                                                                                                           \
    "-----END CERTIFICATE-----\n"

#endif
