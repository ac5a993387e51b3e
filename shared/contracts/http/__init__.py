"""What services show over HTTP. The owner of the data answers with these models and the gateway declares them."""
