"""Whatever is trained in the cloud to predict a client's images: ICIIA, or a rival that is trained on the same sequences."""

from iciia.contexts.arm_cml import ArmCml
from iciia.contexts.iciia import ICIIA
from iciia.contexts.icrm import Icrm
from iciia.contexts.priors import ClientPriors

Module = ClientPriors | ICIIA | Icrm | ArmCml
