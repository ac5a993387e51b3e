"""`python -m deploy.reference`"""

from deploy.reference.files import write

write()
