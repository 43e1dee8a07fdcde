# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
"""Says what user data comes to. Reads JSON, user data in base64 by name, and writes
JSON: by name, a list of [type, file name, bytes in base64]. The judge is cloud-init
itself, or Python's email."""
import base64
import email
import gzip
import json
import sys


def by_cloudinit(data):
    from cloudinit import user_data, util

    user_data.UserDataProcessor._do_include = lambda self, content, to: self._attach_part(
        to, user_data.convert_string(content, "text/x-include-url"))
    user_data.util.fetch_ssl_details = lambda *_: {}
    whole = user_data.UserDataProcessor(None).process(data)
    for part in whole.walk():
        if part.get_content_maintype() != "multipart":
            text = util.fully_decoded_payload(part)
            yield part.get_content_type(), part.get_filename(), text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def by_email(data):
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    for part in email.message_from_bytes(data).walk():
        if part.get_content_maintype() != "multipart":
            yield part.get_content_type(), part.get_filename(), part.get_payload(decode=True)


judge = {"cloudinit": by_cloudinit, "email": by_email}[sys.argv[1]]
json.dump({name: [[kind, file, base64.b64encode(text).decode()] for kind, file, text in judge(base64.b64decode(data))]
           for name, data in json.load(sys.stdin).items()}, sys.stdout)
