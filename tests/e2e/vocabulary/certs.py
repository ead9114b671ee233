"""Certificates of a CA that lives for one session (trustme)."""
import ssl

import trustme


class Certificate:
    def __init__(self, issued, folder, name):
        self.certificate, self.key = str(folder / f"{name}.crt"), str(folder / f"{name}.key")
        with open(self.certificate, "wb") as file:
            file.writelines(pem.bytes() for pem in issued.cert_chain_pems)
        issued.private_key_pem.write_to_path(self.key)

    @property
    def files(self):
        return {"certificate": self.certificate, "key": self.key}

    def server_context(self):
        """For an origin that speaks TLS."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


class Certs:
    """certs.server("edge.test") is a certificate and its key as files; certs.ca is the CA's file."""

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.authority, self.count = folder, trustme.CA(), 0
        self.ca = str(folder / "ca.pem")
        self.authority.cert_pem.write_to_path(self.ca)

    def server(self, *names, **options):
        self.count += 1
        return Certificate(self.authority.issue_cert(*names, **options), self.folder, f"server-{self.count}")

    def another(self):
        """A CA that nobody trusts."""
        self.count += 1
        return Certs(self.folder / f"ca-{self.count}")

    def client_context(self, version=None, **options):
        """For a client that trusts this CA; `version` is the only TLS version it speaks."""
        context = ssl.create_default_context(cafile=self.ca)
        if version is not None:
            context.minimum_version = context.maximum_version = version
        for name, value in options.items():
            setattr(context, name, value)
        return context
