"""What tests share: servers, databases, a stage for all services, usual values."""
