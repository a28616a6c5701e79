"""What the paper evaluated: ten pairs of dataset and backbone, and the two overheads that it states.

Source: Yan et al., arXiv 2211.06276. Dimensions, layers and percentages are theirs; timm's names, and the tags of pretrained
weights that were trained on ImageNet-1K alone, are our choice of what fits: the paper does not say where its weights came from.
"""

from dataclasses import dataclass

CAPACITY = 15
"""N: sets of 16 images."""

PARTITIONS = {"ICIIA-B": 1, "ICIIA-T": 256}
"""P of the paper's two variants; H is 4 in both."""


@dataclass(frozen=True)
class Pair:
    """A dataset and a backbone.

    Args:
        dataset: Its name in the paper's tables.
        backbone: The backbone's.
        model: What a scenario calls it, `backbone.model`.
        tag: Tag of timm's pretrained weights; None if there are none for this data set.
        image_size: Height and width that it reads.
        feature_dim: D.
        classes: C; attributes of CelebA.
        layers: L of ICIIA on this data set.
        backbone_macs: Multiply-adds of the backbone as the authors count them, batch normalisation and pooling included; None where
            it is not known.
        overhead: Published overhead of ICIIA-T, a fraction; None where none is.
        channels: Of the images.
    """

    dataset: str
    backbone: str
    model: str
    tag: str | None
    image_size: int
    feature_dim: int
    classes: int
    layers: int
    backbone_macs: int | None = None
    overhead: float | None = None
    channels: int = 3


PAIRS = (
    Pair("ImageNet-1K", "ResNet-152", "resnet152", "tv2_in1k", 224, 2048, 1000, 3),
    Pair("ImageNet-1K", "MobileNetV3-L", "mobilenetv3_large_100", "ra_in1k", 224, 1280, 1000, 3, 234_800_000, 0.0162),
    Pair("ImageNet-1K", "EfficientNet-B4", "tf_efficientnet_b4", "aa_in1k", 380, 1792, 1000, 3),
    Pair("ImageNet-1K", "EfficientNet-B7", "tf_efficientnet_b7", "aa_in1k", 600, 2560, 1000, 3),
    Pair("ImageNet-1K", "ConvNeXt-L", "convnext_large", "fb_in1k", 224, 1536, 1000, 3),
    Pair(
        "ImageNet-1K", "Swin-B", "swin_base_patch4_window7_224", "ms_in1k", 224, 1024, 1000, 3, 15_430_000_000, 0.0002
    ),
    Pair("FEMNIST", "CNN", "femnist_cnn", None, 28, 2048, 62, 1, channels=1),
    Pair("CelebA", "EfficientNet-B0", "efficientnet_b0", None, 224, 1280, 40, 1),
    Pair("UCF101", "C3D", "c3d", None, 112, 4096, 101, 2),
    Pair("iNaturalist 2019", "EfficientNet-B0", "efficientnet_b0", None, 224, 1280, 1010, 2),
)
"""In the order of the paper's table of baselines."""
