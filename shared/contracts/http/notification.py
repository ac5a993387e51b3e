"""What notification shows. HTTP calls a notice a notification."""

from pydantic import AwareDatetime, BaseModel


class NotificationView(BaseModel):
    notification_id: int
    kind: str
    channel: str
    request_id: int
    part_id: int
    subject: str
    text: str
    status: str
    reason: str | None
    created_at: AwareDatetime
    ended_at: AwareDatetime | None
