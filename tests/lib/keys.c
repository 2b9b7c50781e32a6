/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char p256[] = "-----BEGIN PRIVATE KEY-----\n"
                           "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgya+p2EW6dRZrXCFX\n"
                           "Z7HWk05Qw9s26JsSe4piKxIPZyGhRANCAARg/tS6JVqdMclh63TGNW1owEm4kjth\n"
                           "+mzmaWIuYPKftnkD/hAIuLyZpBrp6VYovGTy8bIMLX6fUXejwpTURiKZ\n"
                           "-----END PRIVATE KEY-----\n";
static const char p256_public[] = "-----BEGIN PUBLIC KEY-----\n"
                                  "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7\n"
                                  "Yfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ==\n"
                                  "-----END PUBLIC KEY-----\n";
static const char p384[] = "-----BEGIN PRIVATE KEY-----\n"
                           "MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDBrnT2tLhuMHAWxmHW2\n"
                           "ZZ9N4jw7Znvyl7qapHdAeHE32JbVck5McKgl+HLJ6mDS7fWhZANiAATsOk5BW04Z\n"
                           "pFaGGAKfQn+l2pqLxK6S4C4GquUoazAMZN748OqQVYZgZKJUUVSAvBOAFdm3LX1X\n"
                           "JE6o75rAxiGJZwilk2f537n1TKhLPxydsSiLIxw64NT+c0T9JTMmRyA=\n"
                           "-----END PRIVATE KEY-----\n";
static const char p384_public[] = "-----BEGIN PUBLIC KEY-----\n"
                                  "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE7DpOQVtOGaRWhhgCn0J/pdqai8SukuAu\n"
                                  "BqrlKGswDGTe+PDqkFWGYGSiVFFUgLwTgBXZty19VyROqO+awMYhiWcIpZNn+d+5\n"
                                  "9UyoSz8cnbEoiyMcOuDU/nNE/SUzJkcg\n"
                                  "-----END PUBLIC KEY-----\n";
static const char rsa[] = "-----BEGIN PRIVATE KEY-----\n"
                          "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCl58XQgLIs7Y98\n"
                          "ew1+JsMiNgJUSylZ8lZgdQgrr/c9nZU5N63jHpqlM73lhyLgSDt4A/SSVWJ+RIo9\n"
                          "FCHlUqxLedXb5zVsCVb3Y2mhci2AGa5aueR0mbIJ1+x1IdNX6awFwRTeOcxy3SWH\n"
                          "B6zY8/9OyonPvZ/EHKhcXUEi0gbmXOthHFV10Ho9XUF63UMb3n6atTJEOUWVDcgy\n"
                          "LvhmpsKh0/o90zpprFKWaYUCL/QIvSharZgmIkEZU/5g7R4fqKuAeMNB2rY9E/y2\n"
                          "zpM3PDnWwj7bmVizNUjg9v++Av2IBccDzNSzH/hQPuKY5Ol+QFFqURfcCDWo4UJk\n"
                          "iHPYjCt7AgMBAAECggEAQVw1L3Z0O4T/wV/NKgTlXWX/tuvBh8EUTH3u0R9K/UhG\n"
                          "0Lrh05dr/2eKCZIaqFdsrlSIltnyqqIf//4deHYAkN+X5EGLZ1uqml3c8JDF4jC7\n"
                          "4txXZ6RhYsVhT6ga1gimD8JIkWAd7qa3MSJR80r1KzpZ3rDq710G6xSGI8ywkTIp\n"
                          "jqiTMxXvPJ5ijvxpgfFCaYPte0WEInl4TE/e3Qqjd5Fq+LJUPSA2xiS0gzuaDJYH\n"
                          "LhSkqPCj4wiYUjzWC1eCKrIAj44YtAU4LrHhCtnZBWMvockcKVKULQsClD2HHSJX\n"
                          "h4WWocMvSGoxzgiafT9SDmpzQcr4+FnD3p9P68kXiQKBgQDa+bMVlKAUPsEDxQe1\n"
                          "oVowgiJGkOUrj9zgrZzaBAKZc173aWTZp/JWCuBjwR5wQH43VYRJNfXYefwfCuJh\n"
                          "920rqOob+Y/X0TrJ0K13nuTrdvHYvqD8F7Vpmm48xDJmke++h6eSncEgXKwHBmb6\n"
                          "PJDpK3p2JLiyIDDftBuTvE2ezwKBgQDB9PLxag6OAbo5CVwldHYA/OWz2zKN9+2u\n"
                          "hIT/ybbnyfApgf5OrUbkYNOEWNqSbNE2Z88pgKoV1Xw6VFCsgl2m8gn8XnJE6c/H\n"
                          "A0JvcMVJXWH+QH+xzeQZinYVzgS11KCzQ+zhAB/DQzAUnKu3u6nhpkdIAtKD942h\n"
                          "cECg5myzlQKBgFA+ULIH1OGWXYTUHw8gIbzE82qIjnJ4Najf9iqubYVuEc74gEyC\n"
                          "jvuY4MGtc0oPWDFO1Ts+2uiJSyrVAkCEOy1UqPW3bk7YDYMHRYogYCMpY1baBIRc\n"
                          "683XGa6K9y0/LWvUqkPAK5WAYEnyvqnUqAXKOQYyTrx3r3FKvxBUYN1hAoGBAKz6\n"
                          "2eUG8n4h+kS+HUlmSYvuAKrcdoT5NihsFfXOn+qvRhquzfC7RzuNQ3eIiz8F/7ym\n"
                          "7rKUBp08bfPTmLOR/RZUTSWf0ge2A1H5jTm4eKtKtoe8XGZmOuWwgEpIGBlWzg+z\n"
                          "J8MviiRqeqoXZGqT2xndYztNERUTJmRxqaIWf6HVAoGAXirAeZ+OoJK+jBrfJY6H\n"
                          "bycLTUKME4HUU/89d8N4FA9zxYTRKpmfrVTbXSAezymnV52G0gUHh7aJ7wryL6po\n"
                          "OjUBEFV0gB/2YeMD8IevDV3DtHlUMC/Q6L25UeFmHqV5r24MECF4AmV8DHF0oRgu\n"
                          "7X6xEYtuAR4byNaZq5ZSsYc=\n"
                          "-----END PRIVATE KEY-----\n";
static const char rsa_public[] = "-----BEGIN PUBLIC KEY-----\n"
                                 "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEApefF0ICyLO2PfHsNfibD\n"
                                 "IjYCVEspWfJWYHUIK6/3PZ2VOTet4x6apTO95Yci4Eg7eAP0klVifkSKPRQh5VKs\n"
                                 "S3nV2+c1bAlW92NpoXItgBmuWrnkdJmyCdfsdSHTV+msBcEU3jnMct0lhwes2PP/\n"
                                 "TsqJz72fxByoXF1BItIG5lzrYRxVddB6PV1Bet1DG95+mrUyRDlFlQ3IMi74ZqbC\n"
                                 "odP6PdM6aaxSlmmFAi/0CL0oWq2YJiJBGVP+YO0eH6irgHjDQdq2PRP8ts6TNzw5\n"
                                 "1sI+25lYszVI4Pb/vgL9iAXHA8zUsx/4UD7imOTpfkBRalEX3Ag1qOFCZIhz2Iwr\n"
                                 "ewIDAQAB\n"
                                 "-----END PUBLIC KEY-----\n";
static const char node[] = "-----BEGIN PRIVATE KEY-----\n"
                           "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgVF6lOEYQA+/cjIHC\n"
                           "RFMbAD9vJs/M9sAHOzI5/e30lEahRANCAAREjsFKgJ/6mYSBCw6bkz7cHflZ179D\n"
                           "s50nMJOXV3ICv1Tt75f39WF4kcXzItrK4CkjCtJIDPuRcdejz1+ugyp9\n"
                           "-----END PRIVATE KEY-----\n";

const char *keys_pem(enum key_kind kind)
{
    return kind == KEY_P256 ? p256 : kind == KEY_P384 ? p384 : rsa;
}

const char *keys_public_pem(enum key_kind kind)
{
    return kind == KEY_P256 ? p256_public : kind == KEY_P384 ? p384_public : rsa_public;
}

const char *keys_node_pem(void)
{
    return node;
}

/* Without cmocka, so that fuzzers can use the keys too. */
static void demand(int code, const struct err *err)
{
    if (code == 0)
        return;
    fprintf(stderr, "a test's key: %s\n", err->text);
    abort();
}

static struct key *load(const char *pem)
{
    struct key *key = NULL;
    struct err err;
    demand(key_load(pem, strlen(pem), "k", &key, &err), &err);
    return key;
}

struct key *keys_private(enum key_kind kind)
{
    return load(keys_pem(kind));
}

struct key *keys_node(void)
{
    return load(node);
}

struct pubkey *keys_public(enum key_kind kind)
{
    const char *pem = keys_public_pem(kind);
    struct pubkey *key = NULL;
    struct err err;
    demand(pubkey_load(pem, strlen(pem), "k", &key, &err), &err);
    return key;
}
