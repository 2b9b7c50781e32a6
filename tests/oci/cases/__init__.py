# SPDX-License-Identifier: Apache-2.0
"""The cases of oci_test."""
