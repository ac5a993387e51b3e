"""An SMS gateway: takes a message under the sender's id, once."""
