"""Signs requests to Bedrock with AWS Signature Version 4, by botocore (`pip install "rondo[bedrock]"`)."""

from __future__ import annotations


class Signer:
    """Signs for one place with one pair of keys. botocore is imported when a signer is made, not when it signs."""

    def __init__(self, key_id: str, secret_key: str, session_token: str | None, region: str) -> None:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        self._auth = SigV4Auth(Credentials(key_id, secret_key, session_token), "bedrock", region)
        self._request = AWSRequest

    def sign(self, url: str, body: bytes) -> dict[str, str]:
        """The headers to send with it. The address counts byte for byte."""
        request = self._request(method="POST", url=url, data=body, headers={"content-type": "application/json"})
        self._auth.add_auth(request)
        return {name.lower(): value for name, value in request.headers.items()}
