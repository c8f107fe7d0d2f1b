"""Models behind the OpenAI protocol: one request, one server, and how both fail."""
