"""The bodies of the API's requests and responses, a module a concept. The server writes them, the client reads them."""
