/* SPDX-License-Identifier: Apache-2.0 */
/* Written by tests/lib/certificates.py. */
#include "tests/lib/certificates.h"

#include <string.h>

static const struct {
    const char *name, *pem;
} certificates[] = {
    {
        "root",
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBjDCCARKgAwIBAgIBBTAKBggqhkjOPQQDAzAPMQ0wCwYDVQQDDARyb290MB4X\n"
        "DTIwMDEwMTAwMDAwMFoXDTQwMDEwMTAwMDAwMFowDzENMAsGA1UEAwwEcm9vdDB2\n"
        "MBAGByqGSM49AgEGBSuBBAAiA2IABMsHSgFr1sjM3uxvkd6UVDfz9FtB5MyRmSnU\n"
        "kr7RyTP++7J3xK7P3qmdPDeCnY0OPm1Lgf0+TlM1l7MnOcBxoPNJFqs06QeDAsIM\n"
        "u81nziNfbUEnQJESnjoUB7aPQsJB36NCMEAwHQYDVR0OBBYEFCh+NBaBCeEhzFLA\n"
        "G0ncPYi6UFQiMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgEGMAoGCCqG\n"
        "SM49BAMDA2gAMGUCMFshEGipg+RwBERqeo93Kw1bBB2/5eza50eTcxiXitWoRThj\n"
        "3dTSc+Unkv8QAatPowIxAPHMzMLim3vDDAfUpucJTOFBAdVULEX3plHrgMWxMmmn\n"
        "bMmQP1STHNW6ETl3LHrWrQ==\n"
        "-----END CERTIFICATE-----\n",
    },
    {
        "root_expired",
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBjDCCARKgAwIBAgIBBTAKBggqhkjOPQQDAzAPMQ0wCwYDVQQDDARyb290MB4X\n"
        "DTIwMDEwMTAwMDAwMFoXDTIxMDEwMTAwMDAwMFowDzENMAsGA1UEAwwEcm9vdDB2\n"
        "MBAGByqGSM49AgEGBSuBBAAiA2IABMsHSgFr1sjM3uxvkd6UVDfz9FtB5MyRmSnU\n"
        "kr7RyTP++7J3xK7P3qmdPDeCnY0OPm1Lgf0+TlM1l7MnOcBxoPNJFqs06QeDAsIM\n"
        "u81nziNfbUEnQJESnjoUB7aPQsJB36NCMEAwHQYDVR0OBBYEFCh+NBaBCeEhzFLA\n"
        "G0ncPYi6UFQiMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgEGMAoGCCqG\n"
        "SM49BAMDA2gAMGUCMCfidmFzb3RJYLxdUCQaUjixzPBk/xQU+vWdCue5xeyQvGu3\n"
        "jfhpr57wXJRwC0o7GAIxAPFcMGXWCSVx2TRrTxHPtmwglpzjeCkjTlJ143AFUS27\n"
        "6YZIh1PdjIA7y/t2Jv31WQ==\n"
        "-----END CERTIFICATE-----\n",
    },
    {
        "root_path_0",
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBjzCCARWgAwIBAgIBBTAKBggqhkjOPQQDAzAPMQ0wCwYDVQQDDARyb290MB4X\n"
        "DTIwMDEwMTAwMDAwMFoXDTQwMDEwMTAwMDAwMFowDzENMAsGA1UEAwwEcm9vdDB2\n"
        "MBAGByqGSM49AgEGBSuBBAAiA2IABMsHSgFr1sjM3uxvkd6UVDfz9FtB5MyRmSnU\n"
        "kr7RyTP++7J3xK7P3qmdPDeCnY0OPm1Lgf0+TlM1l7MnOcBxoPNJFqs06QeDAsIM\n"
        "u81nziNfbUEnQJESnjoUB7aPQsJB36NFMEMwHQYDVR0OBBYEFCh+NBaBCeEhzFLA\n"
        "G0ncPYi6UFQiMBIGA1UdEwEB/wQIMAYBAf8CAQAwDgYDVR0PAQH/BAQDAgEGMAoG\n"
        "CCqGSM49BAMDA2gAMGUCMGnx0X+PJrZtt2dtmIckQbNQHSl+uBTltDFbUi1lnTsa\n"
        "f6FGO6j15tGSBoGqqDMsMAIxAOkSDVVq88YeBAv6RzoWWTwEpWAy9WK9QLMxi8rq\n"
        "IbaXjhITX8/Z+tOIE+d0THPtYg==\n"
        "-----END CERTIFICATE-----\n",
    },
    {
        "root_no_ca",
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBijCCAQ+gAwIBAgIBBTAKBggqhkjOPQQDAzAPMQ0wCwYDVQQDDARyb290MB4X\n"
        "DTIwMDEwMTAwMDAwMFoXDTQwMDEwMTAwMDAwMFowDzENMAsGA1UEAwwEcm9vdDB2\n"
        "MBAGByqGSM49AgEGBSuBBAAiA2IABMsHSgFr1sjM3uxvkd6UVDfz9FtB5MyRmSnU\n"
        "kr7RyTP++7J3xK7P3qmdPDeCnY0OPm1Lgf0+TlM1l7MnOcBxoPNJFqs06QeDAsIM\n"
        "u81nziNfbUEnQJESnjoUB7aPQsJB36M/MD0wHQYDVR0OBBYEFCh+NBaBCeEhzFLA\n"
        "G0ncPYi6UFQiMAwGA1UdEwEB/wQCMAAwDgYDVR0PAQH/BAQDAgeAMAoGCCqGSM49\n"
        "BAMDA2kAMGYCMQCB3WMzrAxalIBA79Ng3kW1eX2FABEQaGOwQCYVlWR009nvNv9l\n"
        "7s9Gx6HgGsnph+4CMQCCoMVn6ZO7XkbhuGPdTxfhyN12Tu4poqwHBK0/cYLxulV8\n"
        "IWKja64bFtbawyuaKhU=\n"
        "-----END CERTIFICATE-----\n",
    },
    {
        "rsa_root",
        "-----BEGIN CERTIFICATE-----\n"
        "MIIC4zCCAcugAwIBAgIBCTANBgkqhkiG9w0BAQsFADATMREwDwYDVQQDDAhyc2Eg\n"
        "cm9vdDAeFw0yMDAxMDEwMDAwMDBaFw00MDAxMDEwMDAwMDBaMBMxETAPBgNVBAMM\n"
        "CHJzYSByb290MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEApefF0ICy\n"
        "LO2PfHsNfibDIjYCVEspWfJWYHUIK6/3PZ2VOTet4x6apTO95Yci4Eg7eAP0klVi\n"
        "fkSKPRQh5VKsS3nV2+c1bAlW92NpoXItgBmuWrnkdJmyCdfsdSHTV+msBcEU3jnM\n"
        "ct0lhwes2PP/TsqJz72fxByoXF1BItIG5lzrYRxVddB6PV1Bet1DG95+mrUyRDlF\n"
        "lQ3IMi74ZqbCodP6PdM6aaxSlmmFAi/0CL0oWq2YJiJBGVP+YO0eH6irgHjDQdq2\n"
        "PRP8ts6TNzw51sI+25lYszVI4Pb/vgL9iAXHA8zUsx/4UD7imOTpfkBRalEX3Ag1\n"
        "qOFCZIhz2IwrewIDAQABo0IwQDAdBgNVHQ4EFgQU0GTSmX6J9FKiBUXdPVfN/h5Z\n"
        "wckwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYwDQYJKoZIhvcNAQEL\n"
        "BQADggEBAJ8CxPxxgLxIIArV8LtgRH/eLRCR4BR0kHm9HnpslkarEeu7bBMoBFMR\n"
        "pdGVOLWLDMJrUN0WrRcIBgmEH/1MVVLxb0ZidQBPQomAx2aPMTTMSjAqPlc+Zf0r\n"
        "mSHjTO3KmlgCQRh6wW6g8vH9af9N8p+tnCUxKtcbt3pdFarubtBoVM2GS0EYBJxy\n"
        "xx4jPzTK2oYmmVBWFLnO1YX5hgAXk8DTVI2XXgOHMXw1jivZBF7DN88n/aOm8uy/\n"
        "+2+X5DlPzZXNBjILwmMRGzc/Dwb1wiRZAMnZMU7pxITkxEn42v3+zWIORw24zj2F\n"
        "gXJXmWV6j6idUPuc0bJYvGzYrablu40=\n"
        "-----END CERTIFICATE-----\n",
    },
    {
        "mid_0",
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBcTCB96ADAgECAgEEMAoGCCqGSM49BAMDMA8xDTALBgNVBAMMBHJvb3QwHhcN\n"
        "MjAwMTAxMDAwMDAwWhcNNDAwMTAxMDAwMDAwWjAOMQwwCgYDVQQDDANtaWQwWTAT\n"
        "BgcqhkjOPQIBBggqhkjOPQMBBwNCAARpXgF0tIYLf71TpqmBt0CKXFSM/uaujFV/\n"
        "BECkJPLnf/KRcizXoddLVsLC1D9/AEdho7bwHtUNKSUviuct16cgo0UwQzAdBgNV\n"
        "HQ4EFgQUbKGiMspRO/ZDr0wYe6ZbxfNzMe4wEgYDVR0TAQH/BAgwBgEB/wIBADAO\n"
        "BgNVHQ8BAf8EBAMCAQYwCgYIKoZIzj0EAwMDaQAwZgIxAP9XApWZ0Wx3WW94iVol\n"
        "fc7JIYidXxeodNbPBNC5m9DdSDhkgOmSKISyZrcIGtKJcQIxALkvjq3Nek1tkKUK\n"
        "N9LTJgzVXwPMfuX4Lt0x2RrWpoSvLD5juR/624XRII/xV5UECQ==\n"
        "-----END CERTIFICATE-----\n",
    },
    {
        "mid_1",
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBbzCB96ADAgECAgEEMAoGCCqGSM49BAMDMA8xDTALBgNVBAMMBHJvb3QwHhcN\n"
        "MjAwMTAxMDAwMDAwWhcNNDAwMTAxMDAwMDAwWjAOMQwwCgYDVQQDDANtaWQwWTAT\n"
        "BgcqhkjOPQIBBggqhkjOPQMBBwNCAARpXgF0tIYLf71TpqmBt0CKXFSM/uaujFV/\n"
        "BECkJPLnf/KRcizXoddLVsLC1D9/AEdho7bwHtUNKSUviuct16cgo0UwQzAdBgNV\n"
        "HQ4EFgQUbKGiMspRO/ZDr0wYe6ZbxfNzMe4wEgYDVR0TAQH/BAgwBgEB/wIBATAO\n"
        "BgNVHQ8BAf8EBAMCAQYwCgYIKoZIzj0EAwMDZwAwZAIwb18zUX6/CGOAUhYl+/TK\n"
        "V/EFcbxIqYmwFdcgsSmvv3lNc1ZEzKrr5bf3IwaU7X1YAjBgC+LDX/mEPXfu3cZR\n"
        "Ltx9TdPxgTxytS0kR+0RaPz+/JfBreBX8jKwZAg+AdrLtqI=\n"
        "-----END CERTIFICATE-----\n",
    },
    {
        "node",
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBcTCB+KADAgECAgEFMAoGCCqGSM49BAMDMA8xDTALBgNVBAMMBHJvb3QwHhcN\n"
        "MjAwMTAxMDAwMDAwWhcNNDAwMTAxMDAwMDAwWjAPMQ0wCwYDVQQDDARub2RlMFkw\n"
        "EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAERI7BSoCf+pmEgQsOm5M+3B35Wde/Q7Od\n"
        "JzCTl1dyAr9U7e+X9/VheJHF8yLayuApIwrSSAz7kXHXo89froMqfaNFMEMwHQYD\n"
        "VR0OBBYEFMoCyCvd2aNmFxL+tirLi2PXOEKBMBIGA1UdEwEB/wQIMAYBAf8CAQAw\n"
        "DgYDVR0PAQH/BAQDAgEGMAoGCCqGSM49BAMDA2gAMGUCMHwDoz2LGLhsdmGOXTdg\n"
        "CWcs6bImTOTwMONGuDsX4x/w8bI1r+xQAUW7LdYpYu9pWAIxANwx0DEKm1Umz9eL\n"
        "UdFDVIxPS5eSzoke1N9HFW6GuDuSWbr4OClVaG0UUFYrQvtLGA==\n"
        "-----END CERTIFICATE-----\n",
    },
    {
        "node_self",
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBUDCB+KADAgECAgEFMAoGCCqGSM49BAMCMA8xDTALBgNVBAMMBG5vZGUwHhcN\n"
        "MjAwMTAxMDAwMDAwWhcNNDAwMTAxMDAwMDAwWjAPMQ0wCwYDVQQDDARub2RlMFkw\n"
        "EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAERI7BSoCf+pmEgQsOm5M+3B35Wde/Q7Od\n"
        "JzCTl1dyAr9U7e+X9/VheJHF8yLayuApIwrSSAz7kXHXo89froMqfaNFMEMwHQYD\n"
        "VR0OBBYEFMoCyCvd2aNmFxL+tirLi2PXOEKBMBIGA1UdEwEB/wQIMAYBAf8CAQAw\n"
        "DgYDVR0PAQH/BAQDAgEGMAoGCCqGSM49BAMCA0cAMEQCIGHAjYLsXOLNRA5d49kY\n"
        "cdRVF9FG51UP1141Ond2Ut6UAiBtEiG8FAQ1Rd7Z+6e9JMUMm9mwmP36HR0zqNND\n"
        "XA1Z7Q==\n"
        "-----END CERTIFICATE-----\n",
    },
    {
        "node_by_mid",
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBUDCB96ADAgECAgEFMAoGCCqGSM49BAMCMA4xDDAKBgNVBAMMA21pZDAeFw0y\n"
        "MDAxMDEwMDAwMDBaFw00MDAxMDEwMDAwMDBaMA8xDTALBgNVBAMMBG5vZGUwWTAT\n"
        "BgcqhkjOPQIBBggqhkjOPQMBBwNCAAREjsFKgJ/6mYSBCw6bkz7cHflZ179Ds50n\n"
        "MJOXV3ICv1Tt75f39WF4kcXzItrK4CkjCtJIDPuRcdejz1+ugyp9o0UwQzAdBgNV\n"
        "HQ4EFgQUygLIK93Zo2YXEv62KsuLY9c4QoEwEgYDVR0TAQH/BAgwBgEB/wIBADAO\n"
        "BgNVHQ8BAf8EBAMCAQYwCgYIKoZIzj0EAwIDSAAwRQIgf4i2qGFaXlaKyvPV0S3Q\n"
        "KHFjl2NGG8p5N1aorLL2VIwCIQC45agde2IV8G+8Q5XAxOnc9rUt7/K+MB1a+AgI\n"
        "4mRtvg==\n"
        "-----END CERTIFICATE-----\n",
    },
    {
        "node_by_rsa",
        "-----BEGIN CERTIFICATE-----\n"
        "MIICFjCB/6ADAgECAgEFMA0GCSqGSIb3DQEBCwUAMBMxETAPBgNVBAMMCHJzYSBy\n"
        "b290MB4XDTIwMDEwMTAwMDAwMFoXDTQwMDEwMTAwMDAwMFowDzENMAsGA1UEAwwE\n"
        "bm9kZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABESOwUqAn/qZhIELDpuTPtwd\n"
        "+VnXv0OznScwk5dXcgK/VO3vl/f1YXiRxfMi2srgKSMK0kgM+5Fx16PPX66DKn2j\n"
        "RTBDMB0GA1UdDgQWBBTKAsgr3dmjZhcS/rYqy4tj1zhCgTASBgNVHRMBAf8ECDAG\n"
        "AQH/AgEAMA4GA1UdDwEB/wQEAwIBBjANBgkqhkiG9w0BAQsFAAOCAQEAffr1AHE7\n"
        "3Zoi2fr/UmVzyvI6+i4MS5/80iKknQgw28DC0vANKoaLFWF/+X/dJ2X6YLPtKjam\n"
        "WhY78XMq/HtJ9ZhZxWnpbfpcy1z3lz0iU8wxxBCerVo6QKhHUmd0Sg4U51bZINCg\n"
        "WqD21/yr0/TTPII62Y6+yQFt2Nr3IRXjaiJpnIF6oHOyYK8e6o5ldy5tBZlShhYD\n"
        "1y3uhXpo0cziMRTgx0FMk9b9F2lMW9nTduMs+5PY3nQys2vcGbL/1hAt86Xe1hy6\n"
        "Iy7nKWxjV4ffMPDXxgdq7gldaQ7pgFy6hn8WKLTsD3H2JjA9edV4XJ2UnroYAqqc\n"
        "R+osyrQJ6w6rHg==\n"
        "-----END CERTIFICATE-----\n",
    },
    {
        "node_no_ca",
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBajCB8qADAgECAgEFMAoGCCqGSM49BAMDMA8xDTALBgNVBAMMBHJvb3QwHhcN\n"
        "MjAwMTAxMDAwMDAwWhcNNDAwMTAxMDAwMDAwWjAPMQ0wCwYDVQQDDARub2RlMFkw\n"
        "EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAERI7BSoCf+pmEgQsOm5M+3B35Wde/Q7Od\n"
        "JzCTl1dyAr9U7e+X9/VheJHF8yLayuApIwrSSAz7kXHXo89froMqfaM/MD0wHQYD\n"
        "VR0OBBYEFMoCyCvd2aNmFxL+tirLi2PXOEKBMAwGA1UdEwEB/wQCMAAwDgYDVR0P\n"
        "AQH/BAQDAgeAMAoGCCqGSM49BAMDA2cAMGQCMEnwiF9gh1Rqb5R/74dxw8V0NYp4\n"
        "uAkmp0N+AQRHWQDyowpA1PRUWco5eW1haI9y2AIwb7gYjyAolS5y0ICqz3cxYjmw\n"
        "sznAuJAKsb/Ig0eo4lq3XDa1HhIu7qRE3cWCZ+rM\n"
        "-----END CERTIFICATE-----\n",
    },
    {
        "node_no_usage",
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBYTCB6KADAgECAgEFMAoGCCqGSM49BAMDMA8xDTALBgNVBAMMBHJvb3QwHhcN\n"
        "MjAwMTAxMDAwMDAwWhcNNDAwMTAxMDAwMDAwWjAPMQ0wCwYDVQQDDARub2RlMFkw\n"
        "EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAERI7BSoCf+pmEgQsOm5M+3B35Wde/Q7Od\n"
        "JzCTl1dyAr9U7e+X9/VheJHF8yLayuApIwrSSAz7kXHXo89froMqfaM1MDMwHQYD\n"
        "VR0OBBYEFMoCyCvd2aNmFxL+tirLi2PXOEKBMBIGA1UdEwEB/wQIMAYBAf8CAQAw\n"
        "CgYIKoZIzj0EAwMDaAAwZQIxAKUi4Nn1Mczr2+5ICMGjYK4vU7pyIP1fc9CtYvG8\n"
        "8lR1IXtj0ZFQhhaS4SG1h4C1VwIwV1R1yobnat4Fj3DKVZiZIc8sIByyaf4X+Fof\n"
        "ukeKUufmzeI95RJ0brmcbIBWpBXs\n"
        "-----END CERTIFICATE-----\n",
    },
    {
        "node_other_usage",
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBcDCB+KADAgECAgEFMAoGCCqGSM49BAMDMA8xDTALBgNVBAMMBHJvb3QwHhcN\n"
        "MjAwMTAxMDAwMDAwWhcNNDAwMTAxMDAwMDAwWjAPMQ0wCwYDVQQDDARub2RlMFkw\n"
        "EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAERI7BSoCf+pmEgQsOm5M+3B35Wde/Q7Od\n"
        "JzCTl1dyAr9U7e+X9/VheJHF8yLayuApIwrSSAz7kXHXo89froMqfaNFMEMwHQYD\n"
        "VR0OBBYEFMoCyCvd2aNmFxL+tirLi2PXOEKBMBIGA1UdEwEB/wQIMAYBAf8CAQAw\n"
        "DgYDVR0PAQH/BAQDAgeAMAoGCCqGSM49BAMDA2cAMGQCMAHhqgMlXpxWYkukXnZH\n"
        "53rx6vTPs1u0i5APvDDkZwLEMfvRDRF7RrwW2v64li5GAQIwCw/6sm/tEGk72zON\n"
        "Fj9oTChEo+tozKI9/jahnfPU3d06IXW+wf4P1+vk29gA14Aq\n"
        "-----END CERTIFICATE-----\n",
    },
    {
        "node_expired",
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBcjCB+KADAgECAgEFMAoGCCqGSM49BAMDMA8xDTALBgNVBAMMBHJvb3QwHhcN\n"
        "MjAwMTAxMDAwMDAwWhcNMjEwMTAxMDAwMDAwWjAPMQ0wCwYDVQQDDARub2RlMFkw\n"
        "EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAERI7BSoCf+pmEgQsOm5M+3B35Wde/Q7Od\n"
        "JzCTl1dyAr9U7e+X9/VheJHF8yLayuApIwrSSAz7kXHXo89froMqfaNFMEMwHQYD\n"
        "VR0OBBYEFMoCyCvd2aNmFxL+tirLi2PXOEKBMBIGA1UdEwEB/wQIMAYBAf8CAQAw\n"
        "DgYDVR0PAQH/BAQDAgEGMAoGCCqGSM49BAMDA2kAMGYCMQCEZ8EEyLUj5an9b+3r\n"
        "tDu4v3kdCDRRMEFWEcvELwd/mc3BAGcROeaUj8+Ki/gPEDgCMQCJzxeROnffFgr2\n"
        "esMm5AAQ75etoUPXQ0+4qXrMqJvmp0PV/ngcCQnNH1egt0cJrEs=\n"
        "-----END CERTIFICATE-----\n",
    },
    {
        "node_future",
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBcTCB+KADAgECAgEFMAoGCCqGSM49BAMDMA8xDTALBgNVBAMMBHJvb3QwHhcN\n"
        "MzkwMTAxMDAwMDAwWhcNNDAwMTAxMDAwMDAwWjAPMQ0wCwYDVQQDDARub2RlMFkw\n"
        "EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAERI7BSoCf+pmEgQsOm5M+3B35Wde/Q7Od\n"
        "JzCTl1dyAr9U7e+X9/VheJHF8yLayuApIwrSSAz7kXHXo89froMqfaNFMEMwHQYD\n"
        "VR0OBBYEFMoCyCvd2aNmFxL+tirLi2PXOEKBMBIGA1UdEwEB/wQIMAYBAf8CAQAw\n"
        "DgYDVR0PAQH/BAQDAgEGMAoGCCqGSM49BAMDA2gAMGUCMQCL1ssRUiSW4TW5K2J1\n"
        "6YvQ9RXI8TDHK6ME54WC///UxzY0vXsOOpETMqvs1y5Py44CMHpPEvq2M/Bxcj3a\n"
        "lU7iMa4fXjO2FD9U7GVp2vDWK9IbdjProEL8H1tQy+meeedubg==\n"
        "-----END CERTIFICATE-----\n",
    },
    {
        "node_other_name",
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBcjCB+aADAgECAgEGMAoGCCqGSM49BAMDMA8xDTALBgNVBAMMBHJvb3QwHhcN\n"
        "MjAwMTAxMDAwMDAwWhcNNDAwMTAxMDAwMDAwWjAQMQ4wDAYDVQQDDAVvdGhlcjBZ\n"
        "MBMGByqGSM49AgEGCCqGSM49AwEHA0IABESOwUqAn/qZhIELDpuTPtwd+VnXv0Oz\n"
        "nScwk5dXcgK/VO3vl/f1YXiRxfMi2srgKSMK0kgM+5Fx16PPX66DKn2jRTBDMB0G\n"
        "A1UdDgQWBBTKAsgr3dmjZhcS/rYqy4tj1zhCgTASBgNVHRMBAf8ECDAGAQH/AgEA\n"
        "MA4GA1UdDwEB/wQEAwIBBjAKBggqhkjOPQQDAwNoADBlAjB8Tceei0L5g4x+aRL9\n"
        "2XLE6zRJoK526gLiMHlj8v8da9ZIG7K+2qi5nXexdJOJWfoCMQCVPGU9SJgAkit3\n"
        "nqVoKP5aLmB9MHswivW9JcSyP6s1z4vqvWm9vUj4U+hEA7g87FE=\n"
        "-----END CERTIFICATE-----\n",
    },
    {
        "node_other_key",
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBcTCB+KADAgECAgEFMAoGCCqGSM49BAMDMA8xDTALBgNVBAMMBHJvb3QwHhcN\n"
        "MjAwMTAxMDAwMDAwWhcNNDAwMTAxMDAwMDAwWjAPMQ0wCwYDVQQDDARub2RlMFkw\n"
        "EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaV4BdLSGC3+9U6apgbdAilxUjP7mroxV\n"
        "fwRApCTy53/ykXIs16HXS1bCwtQ/fwBHYaO28B7VDSklL4rnLdenIKNFMEMwHQYD\n"
        "VR0OBBYEFGyhojLKUTv2Q69MGHumW8XzczHuMBIGA1UdEwEB/wQIMAYBAf8CAQAw\n"
        "DgYDVR0PAQH/BAQDAgEGMAoGCCqGSM49BAMDA2gAMGUCMAjwn/67itJIOPkynCll\n"
        "kU/rEpHGMuRejcqNwghx3xp62abXnUwVtkpFlywkm3NOewIxANAbbDT5Urx4YFvE\n"
        "yzu7af6c3yNH3hVxbeehn5LMownzGpIdoTmR2/W4BcQlBjoAdA==\n"
        "-----END CERTIFICATE-----\n",
    },
    {
        "leaf",
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBTjCB9aADAgECAgEIMAoGCCqGSM49BAMCMA8xDTALBgNVBAMMBG5vZGUwHhcN\n"
        "MjAwMTAxMDAwMDAwWhcNNDAwMTAxMDAwMDAwWjASMRAwDgYDVQQDDAdzYW5kYm94\n"
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7\n"
        "Yfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimaM/MD0w\n"
        "HQYDVR0OBBYEFBqVaVebzjKalC0HacnAtWQxVjcQMAwGA1UdEwEB/wQCMAAwDgYD\n"
        "VR0PAQH/BAQDAgeAMAoGCCqGSM49BAMCA0gAMEUCIFWI9cKnm8Mz1GqniVw8bbl/\n"
        "ZKhMqEakqMBFURd24OqWAiEAyAEs59M3StvsBmIEuNZsKydwrMWSAQE0+R9AYfI3\n"
        "7UI=\n"
        "-----END CERTIFICATE-----\n",
    },
    {
        "leaf_aik",
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBYDCCAQegAwIBAgIBCDAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARub2RlMB4X\n"
        "DTIwMDEwMTAwMDAwMFoXDTQwMDEwMTAwMDAwMFowEjEQMA4GA1UEAwwHc2FuZGJv\n"
        "eDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABGD+1LolWp0xyWHrdMY1bWjASbiS\n"
        "O2H6bOZpYi5g8p+2eQP+EAi4vJmkGunpVii8ZPLxsgwtfp9Rd6PClNRGIpmjUTBP\n"
        "MB0GA1UdDgQWBBQalWlXm84ympQtB2nJwLVkMVY3EDAMBgNVHRMBAf8EAjAAMA4G\n"
        "A1UdDwEB/wQEAwIHgDAQBgNVHSUECTAHBgVngQUIAzAKBggqhkjOPQQDAgNHADBE\n"
        "AiA6gepMMPdEYTzvzjBroDM+CoYwsDVsirmTmKqTQFGdlgIgU8viqy24fYxCPnO1\n"
        "q2o1N/UCH7CuNgYjwcpiIfzWJMQ=\n"
        "-----END CERTIFICATE-----\n",
    },
    {
        "leaf_server",
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBYzCCAQqgAwIBAgIBCDAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARub2RlMB4X\n"
        "DTIwMDEwMTAwMDAwMFoXDTQwMDEwMTAwMDAwMFowEjEQMA4GA1UEAwwHc2FuZGJv\n"
        "eDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABGD+1LolWp0xyWHrdMY1bWjASbiS\n"
        "O2H6bOZpYi5g8p+2eQP+EAi4vJmkGunpVii8ZPLxsgwtfp9Rd6PClNRGIpmjVDBS\n"
        "MB0GA1UdDgQWBBQalWlXm84ympQtB2nJwLVkMVY3EDAMBgNVHRMBAf8EAjAAMA4G\n"
        "A1UdDwEB/wQEAwIHgDATBgNVHSUEDDAKBggrBgEFBQcDATAKBggqhkjOPQQDAgNH\n"
        "ADBEAiAcGWx1QhCh2OSig41zkcjs35sPewsLF5dqogje+InAwQIgfQeF52Wz/IMc\n"
        "oU+Tba0K1J99axn5uwgWJ2L3Z9VJCh4=\n"
        "-----END CERTIFICATE-----\n",
    },
    {
        "leaf_no_constraints",
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBQDCB56ADAgECAgEIMAoGCCqGSM49BAMCMA8xDTALBgNVBAMMBG5vZGUwHhcN\n"
        "MjAwMTAxMDAwMDAwWhcNNDAwMTAxMDAwMDAwWjASMRAwDgYDVQQDDAdzYW5kYm94\n"
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7\n"
        "Yfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimaMxMC8w\n"
        "HQYDVR0OBBYEFBqVaVebzjKalC0HacnAtWQxVjcQMA4GA1UdDwEB/wQEAwIHgDAK\n"
        "BggqhkjOPQQDAgNIADBFAiEA2BMKJFCd9YWOMEI87/SsiWQg2EgiGLAgzKxLMgz0\n"
        "YkkCIGe6jFfrc7xnjOCQmyXEV/oIQrKyy2BwnLfAoA6x/qEn\n"
        "-----END CERTIFICATE-----\n",
    },
    {
        "leaf_no_usage",
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBPTCB5aADAgECAgEIMAoGCCqGSM49BAMCMA8xDTALBgNVBAMMBG5vZGUwHhcN\n"
        "MjAwMTAxMDAwMDAwWhcNNDAwMTAxMDAwMDAwWjASMRAwDgYDVQQDDAdzYW5kYm94\n"
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7\n"
        "Yfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimaMvMC0w\n"
        "HQYDVR0OBBYEFBqVaVebzjKalC0HacnAtWQxVjcQMAwGA1UdEwEB/wQCMAAwCgYI\n"
        "KoZIzj0EAwIDRwAwRAIgLLOt+aFCYrrLQjJaw8dGVofur46AkobWpZBE7IfhUk0C\n"
        "IH41S8PpBbu0V1ZnykDMN6H5Y1FCbBOYHixQu4awtrsk\n"
        "-----END CERTIFICATE-----\n",
    },
    {
        "leaf_agreement",
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBTjCB9aADAgECAgEIMAoGCCqGSM49BAMCMA8xDTALBgNVBAMMBG5vZGUwHhcN\n"
        "MjAwMTAxMDAwMDAwWhcNNDAwMTAxMDAwMDAwWjASMRAwDgYDVQQDDAdzYW5kYm94\n"
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7\n"
        "Yfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimaM/MD0w\n"
        "HQYDVR0OBBYEFBqVaVebzjKalC0HacnAtWQxVjcQMAwGA1UdEwEB/wQCMAAwDgYD\n"
        "VR0PAQH/BAQDAgMIMAoGCCqGSM49BAMCA0gAMEUCIEZGrZJmurwPIbFoftQdAiSC\n"
        "VZi5g9jEBSiM2oa/CcfsAiEAi4dSjzNsqUfqS/uQpQBxbrXN+2356LW3cFngjhfw\n"
        "RZ8=\n"
        "-----END CERTIFICATE-----\n",
    },
    {
        "leaf_ca",
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBUzCB+6ADAgECAgEIMAoGCCqGSM49BAMCMA8xDTALBgNVBAMMBG5vZGUwHhcN\n"
        "MjAwMTAxMDAwMDAwWhcNNDAwMTAxMDAwMDAwWjASMRAwDgYDVQQDDAdzYW5kYm94\n"
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7\n"
        "Yfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimaNFMEMw\n"
        "HQYDVR0OBBYEFBqVaVebzjKalC0HacnAtWQxVjcQMBIGA1UdEwEB/wQIMAYBAf8C\n"
        "AQAwDgYDVR0PAQH/BAQDAgKEMAoGCCqGSM49BAMCA0cAMEQCIFJzQUVFsXaFzpdm\n"
        "fGHCPJhsQDkqvpYQ24kN13Wio6cFAiA9pvMt8vv+dQB+uQ8Bwbod3sA1v2hYe33n\n"
        "abAPnvCHYg==\n"
        "-----END CERTIFICATE-----\n",
    },
    {
        "leaf_critical",
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBXDCCAQOgAwIBAgIBCDAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARub2RlMB4X\n"
        "DTIwMDEwMTAwMDAwMFoXDTQwMDEwMTAwMDAwMFowEjEQMA4GA1UEAwwHc2FuZGJv\n"
        "eDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABGD+1LolWp0xyWHrdMY1bWjASbiS\n"
        "O2H6bOZpYi5g8p+2eQP+EAi4vJmkGunpVii8ZPLxsgwtfp9Rd6PClNRGIpmjTTBL\n"
        "MB0GA1UdDgQWBBQalWlXm84ympQtB2nJwLVkMVY3EDAMBgNVHRMBAf8EAjAAMA4G\n"
        "A1UdDwEB/wQEAwIHgDAMBgMqAwQBAf8EAgUAMAoGCCqGSM49BAMCA0cAMEQCIEmy\n"
        "NTjyp29PFs85yj3hRmL7FzwbgQ+motcC6ZACUW9uAiBi1Cb6nPtV5qyD0wQYLl6K\n"
        "ZGzoNA4sP9RSUlrpqUqyCw==\n"
        "-----END CERTIFICATE-----\n",
    },
    {
        "leaf_not_critical",
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBWjCCAQCgAwIBAgIBCDAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARub2RlMB4X\n"
        "DTIwMDEwMTAwMDAwMFoXDTQwMDEwMTAwMDAwMFowEjEQMA4GA1UEAwwHc2FuZGJv\n"
        "eDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABGD+1LolWp0xyWHrdMY1bWjASbiS\n"
        "O2H6bOZpYi5g8p+2eQP+EAi4vJmkGunpVii8ZPLxsgwtfp9Rd6PClNRGIpmjSjBI\n"
        "MB0GA1UdDgQWBBQalWlXm84ympQtB2nJwLVkMVY3EDAMBgNVHRMBAf8EAjAAMA4G\n"
        "A1UdDwEB/wQEAwIHgDAJBgMqAwQEAgUAMAoGCCqGSM49BAMCA0gAMEUCIQCxT1KZ\n"
        "Pb4GrT8rXkLd8TmIzdEVmzvE0HT1xaG9yEeXdAIgLxMJw27gIvKNQenspFhUrgv7\n"
        "s7xrKFeyD0N60Q2d1kg=\n"
        "-----END CERTIFICATE-----\n",
    },
    {
        "leaf_sha384",
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBTjCB9aADAgECAgEIMAoGCCqGSM49BAMDMA8xDTALBgNVBAMMBG5vZGUwHhcN\n"
        "MjAwMTAxMDAwMDAwWhcNNDAwMTAxMDAwMDAwWjASMRAwDgYDVQQDDAdzYW5kYm94\n"
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7\n"
        "Yfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimaM/MD0w\n"
        "HQYDVR0OBBYEFBqVaVebzjKalC0HacnAtWQxVjcQMAwGA1UdEwEB/wQCMAAwDgYD\n"
        "VR0PAQH/BAQDAgeAMAoGCCqGSM49BAMDA0gAMEUCIQDNzsgu8BQW6AA4nETLQfQg\n"
        "KsZ0yH1p+iIa36KPQbFmlgIgSxebHxjDNsx6DOGaAOOJ6WkFGAGg1DxAscANHprh\n"
        "DM0=\n"
        "-----END CERTIFICATE-----\n",
    },
    {
        "leaf_p521",
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBkjCCATigAwIBAgIBCDAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARub2RlMB4X\n"
        "DTIwMDEwMTAwMDAwMFoXDTQwMDEwMTAwMDAwMFowEjEQMA4GA1UEAwwHc2FuZGJv\n"
        "eDCBmzAQBgcqhkjOPQIBBgUrgQQAIwOBhgAEAbdKUj12laqCJcbpDC8n5Kr7g23M\n"
        "sdsQjfprVuq9xeHn3Py5xwhBAGn7XC14UiryTfo0ODdfPSoWHZWpZjGIR9L8AK/g\n"
        "MSF9eYlebKcH+A3JXckjuPES1unGtviRd2m0fGB4MBC0dgZBCMg/AbY19lFxOl7n\n"
        "4Rc1Mako103xcVvZNzFjoz8wPTAdBgNVHQ4EFgQUOyjhlV9t4XmYuRlTrW2euoo0\n"
        "m3UwDAYDVR0TAQH/BAIwADAOBgNVHQ8BAf8EBAMCB4AwCgYIKoZIzj0EAwIDSAAw\n"
        "RQIgFhyi1tRD2yKMttja4yD/O5xX6OmrIDxNh335USk81eQCIQDzM2brZo92BcNW\n"
        "TYFRchUdjUykOm9ivLIiWeAfMi0YVQ==\n"
        "-----END CERTIFICATE-----\n",
    },
    {
        "leaf_expired",
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBTjCB9aADAgECAgEIMAoGCCqGSM49BAMCMA8xDTALBgNVBAMMBG5vZGUwHhcN\n"
        "MjAwMTAxMDAwMDAwWhcNMjEwMTAxMDAwMDAwWjASMRAwDgYDVQQDDAdzYW5kYm94\n"
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7\n"
        "Yfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimaM/MD0w\n"
        "HQYDVR0OBBYEFBqVaVebzjKalC0HacnAtWQxVjcQMAwGA1UdEwEB/wQCMAAwDgYD\n"
        "VR0PAQH/BAQDAgeAMAoGCCqGSM49BAMCA0gAMEUCIF/TFvFASs3nPSjwjsa/8V5n\n"
        "gOMDa7ltgHTd8H57K+m3AiEAiL01eHw9EdyeymAVBHRaycMk76uRplAwtX6Rji9q\n"
        "7oM=\n"
        "-----END CERTIFICATE-----\n",
    },
};

const char *certificates_pem(const char *name)
{
    for (size_t i = 0; i < sizeof certificates / sizeof certificates[0]; i++)
        if (strcmp(certificates[i].name, name) == 0)
            return certificates[i].pem;
    return NULL;
}
