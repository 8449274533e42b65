"""The authorization server: what it says of itself, and its answers to clients.

https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from overblik.fhir.errors import Malformed
from overblik.trust.callers.scopes import CONTEXT, parse_scopes
from overblik.trust.callers.sessions import person_digest
from overblik.trust.keys.seal import Seal
from overblik.trust.smart.assertions import ALGORITHMS, Authenticator
from overblik.trust.smart.clients import Clients
from overblik.trust.smart.dpop import ALGORITHMS as PROOFS
from overblik.trust.smart.dpop import Proof
from overblik.trust.smart.grants import Grants
from overblik.trust.smart.pushed import LASTS, PREFIX, Pushed
from overblik.trust.smart.refusal import Refusal
from overblik.trust.smart.requests import OF_A_REQUEST, app_unknown, read_wish, require_wish

if TYPE_CHECKING:
    from collections.abc import Mapping

    from overblik.store.database import Database
    from overblik.trust.callers.sessions import Session
    from overblik.trust.keys.keyring import Keyring
    from overblik.trust.oidc.login import Login
    from overblik.trust.organisations import Directory
    from overblik.trust.smart.clients import Client
    from overblik.trust.smart.requests import Wish

LAUNCH, LAUNCH_SECONDS = "launch", 300
PUSHED = "pushed"
"""What a request that was sent ahead goes by, in addresses of ours."""
CAPABILITIES = (
    "launch-ehr", "launch-standalone", "client-public", "client-confidential-asymmetric", "sso-openid-connect",
    "context-ehr-patient", "context-standalone-patient", "context-banner", "permission-patient", "permission-user",
    "permission-offline", "permission-online", "permission-v2",
)  # fmt: skip


class AuthorizationServer:
    """Clients, grants and launches of one server."""

    def __init__(self, address: str, keyring: Keyring, database: Database, directory: Directory, login: Login) -> None:
        self.address = address
        self.clients = Clients(database)
        self.grants = Grants(address, keyring, database, directory)
        self._pushed = Pushed(database)
        self._authenticator = Authenticator(database, self.clients, login)
        self._seal = Seal(keyring.key("smart-launch"))

    def metadata(self) -> dict[str, Any]:
        """Return `.well-known/smart-configuration`."""
        return {
            "issuer": self.address,
            "jwks_uri": f"{self.address}/oauth/jwks",
            "authorization_endpoint": f"{self.address}/oauth/authorize",
            "token_endpoint": f"{self.address}/oauth/token",
            "introspection_endpoint": f"{self.address}/oauth/introspect",
            "revocation_endpoint": f"{self.address}/oauth/revoke",
            "pushed_authorization_request_endpoint": f"{self.address}/oauth/par",
            "require_pushed_authorization_requests": False,
            "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"],
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
            "scopes_supported": [*sorted(CONTEXT), "patient/*.rs", "user/*.rs", "system/*.cruds"],
            "dpop_signing_alg_values_supported": list(PROOFS),
            "authorization_response_iss_parameter_supported": True,
            "capabilities": list(CAPABILITIES),
        }

    def jwks(self) -> dict[str, Any]:
        """Return the key by which id_tokens and access tokens are signed."""
        return {"keys": [self.grants.key.as_dict(private=False)]}

    def launch(self, session: Session, client: str, patient: str) -> str:
        """Return the `launch` by which an app is opened with a patient, for this session and client only."""
        note = {"client": client, "slot": session.slot, "person": person_digest(session.caller).hex()}
        return self._seal.seal({**note, "patient": patient}, LAUNCH, LAUNCH_SECONDS)

    def launched(self, launch: str, client: str) -> dict[str, Any]:
        """Return what a `launch` stands for; Malformed where it is none of this client's, or too old."""
        note = self._seal.open(launch, LAUNCH)
        if note is None or note["client"] != client:
            text = "The app was opened too long ago, or from elsewhere; open it from the patient's page again."
            raise Malformed("launch-invalid", text)
        return note

    async def wish(self, query: Mapping[str, str]) -> Wish:
        """Return the authorization request of an address, its parameters in it or sent ahead; see `read_wish`."""
        name, client = query.get(PUSHED, ""), query.get("client_id", "")
        asked = await self._pushed.asked((await self._known(client)).id, name) if name else query
        return await read_wish(self.clients, asked, base=self.grants.base, issuer=self.address, pushed=name)

    async def begin(self, query: Mapping[str, str]) -> dict[str, str] | None:
        """Use the `request_uri` of an address up; return what the request goes by instead, None where there is none."""
        place = query.get("request_uri", "")
        if not place.startswith(PREFIX):
            return None
        client = await self._known(query.get("client_id", ""))
        return {"client_id": client.id, PUSHED: await self._pushed.begin(client.id, place)}

    async def end(self, wish: Wish) -> None:
        """Take a request that the person answers as answered; Malformed for one sent ahead that was answered before."""
        if wish.pushed:
            await self._pushed.end(wish.client.id, wish.pushed)

    async def _known(self, identifier: str) -> Client:
        if (client := await self.clients.find(identifier)) is None:
            raise app_unknown()
        return client

    async def push(self, form: Mapping[str, str], proof: str = "") -> dict[str, Any]:
        """Keep an authorization request that a client sends ahead; Refusal says what is wrong with it.

        https://www.rfc-editor.org/rfc/rfc9126#section-2, with DPoP as RFC 9449 § 10.1 has it.
        """
        place = f"{self.address}/oauth/par"
        client = await self._authenticator.client(form, place, f"{self.address}/oauth/token", self.address)
        jkt = await self.grants.key_of(Proof(proof, "POST", place) if proof else None)
        if client.kind == "backend":
            raise Refusal("unauthorized_client", "A service asks nobody; it gets its tokens by client_credentials.")
        asked = {name: form[name] for name in sorted(OF_A_REQUEST & form.keys())} | {"client_id": client.id}
        if jkt and asked.setdefault("dpop_jkt", jkt) != jkt:
            raise Refusal("invalid_dpop_proof", "dpop_jkt is not the key of the DPoP proof.")
        wish = require_wish(client, asked, self.grants.base)
        if wish.launch:
            self.launched(wish.launch, client.id)
        return {"request_uri": await self._pushed.push(client.id, asked), "expires_in": int(LASTS.total_seconds())}

    async def token(self, form: Mapping[str, str], proof: str = "") -> dict[str, Any]:
        """Answer a token request (RFC 6749 § 3.2); Refusal says why not."""
        client = await self._authenticator.client(await self._named(form), f"{self.address}/oauth/token")
        shown = Proof(proof, "POST", f"{self.address}/oauth/token") if proof else None
        jkt = await self.grants.key_of(shown)
        kind = form.get("grant_type", "")
        try:
            if kind == "client_credentials" and client.kind == "backend":
                return await self._of_service(form, client, jkt)
            if kind == "authorization_code" and client.kind != "backend":
                code, redirect = form.get("code", ""), form.get("redirect_uri", "")
                return await self.grants.of_code(client, code, redirect, form.get("code_verifier", ""), jkt)
            if kind == "refresh_token" and client.kind != "backend":
                token, wanted = form.get("refresh_token", ""), form.get("scope", "")
                return await self.grants.of_refresh(client, token, wanted, jkt)
        except Malformed as error:
            raise Refusal("invalid_scope", error.text) from None
        known = kind in {"client_credentials", "authorization_code", "refresh_token"}
        code = "unauthorized_client" if known else "unsupported_grant_type"
        raise Refusal(code, "This client does not get tokens in that way.")

    async def _named(self, form: Mapping[str, str]) -> Mapping[str, str]:
        """Return a form with the client's name: public apps may leave it out beside a refresh token, and some do."""
        named = {"client_id", "client_assertion", "client_assertion_type"} & form.keys()
        if form.get("grant_type") != "refresh_token" or named:
            return form
        return {**form, "client_id": await self.grants.client_of(form.get("refresh_token", ""))}

    async def _of_service(self, form: Mapping[str, str], client: Client, jkt: str) -> dict[str, Any]:
        scopes = parse_scopes(form.get("scope", ""))
        if not scopes.within(client.scopes):
            raise Refusal("invalid_scope", "The service is not registered for these scopes.")
        return await self.grants.of_service(client, scopes, jkt)

    async def introspect(self, form: Mapping[str, str]) -> dict[str, Any]:
        """Answer an introspection request (RFC 7662); Refusal where the client is not known."""
        client = await self._authenticator.client(form, f"{self.address}/oauth/introspect")
        return await self.grants.introspected(client, form.get("token", ""))

    async def revoke(self, form: Mapping[str, str]) -> None:
        """Answer a revocation request (RFC 7009); Refusal where the client is not known."""
        client = await self._authenticator.client(form, f"{self.address}/oauth/revoke")
        await self.grants.revoke(client, form.get("token", ""))
