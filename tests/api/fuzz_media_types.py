"""How Schemathesis writes down the bodies that are neither JSON nor a form: as the text or the bytes that they are."""

import schemathesis

schemathesis.serializer.alias(["application/x-ndjson", "application/vnd.apache.arrow.stream"], "text/plain")
