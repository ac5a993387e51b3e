"""What the adapters are given: the usual values."""

from services.invoicing.tax_platforms.port import BlueDraft, DraftLine, Party
from services.notification.channels import port as notes

SERIAL = "S0000000000000000001"
SELLER = Party("示例云计算有限公司", "91330106673959654P")
BUYER = Party("示例科技有限公司", "91110108769914581E")
LINE = DraftLine("*信息技术服务*云服务", "", 10_000, 6, 600, "3040203000000000000")
DRAFT = BlueDraft(SERIAL, "special", SELLER, BUYER, (LINE,), 10_600, 10_000, 600, "", "开票员")
SMS = notes.Sms("kaipiao-1-1", "13900000001", "您的发票已开具\u2028金额 106.00 元")
PDF = notes.Attachment("电子发票_26332000000000000001.pdf", "application/pdf", b"%PDF-1.7 \x00\xff")
MAIL = notes.Mail("kaipiao-1-2", "finance@example.test", "您的电子发票已开具", "请查收附件。", (PDF,))
