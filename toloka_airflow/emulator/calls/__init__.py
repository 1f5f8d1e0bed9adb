"""What a call of the API is made of: a request and its answer, a list, a description for the OpenAPI document."""
