"""Bodies of the API's requests and responses, shared by the server and its clients."""
