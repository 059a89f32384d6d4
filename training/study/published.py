"""What the study published in its tables 1 to 3: (MAE, IoU) of each detector's EigenCAM, by data set and truth.

Its YOLOv5 was of no size that it names, and its maps and gaze were as ../../docs/study.md tells: like and like, but for
the faults that are mended here.
"""

PUBLISHED = {
    ("mit1003", "gaze"): {
        "yolov5s": (0.1799, 0.1895),
        "ssd300_vgg16": (0.1643, 0.2379),
        "ssdlite320_mobilenet_v3_large": (0.1553, 0.1670),
        "fasterrcnn_resnet50_fpn": (0.1441, 0.1896),
        "retinanet_resnet50_fpn": (0.2966, 0.1857),
        "maskrcnn_resnet50_fpn": (0.1550, 0.1678),
        "detr_resnet50": (0.1275, 0.2136),
    },
    ("voc2012", "gaze"): {
        "yolov5s": (0.2147, 0.1837),
        "ssd300_vgg16": (0.1731, 0.2474),
        "ssdlite320_mobilenet_v3_large": (0.1737, 0.2086),
        "fasterrcnn_resnet50_fpn": (0.1700, 0.2382),
        "retinanet_resnet50_fpn": (0.2578, 0.2158),
        "maskrcnn_resnet50_fpn": (0.1753, 0.2353),
        "detr_resnet50": (0.1913, 0.1664),
    },
    ("voc2012", "human"): {
        "yolov5s": (0.1571, 0.2400),
        "ssd300_vgg16": (0.1277, 0.3225),
        "ssdlite320_mobilenet_v3_large": (0.1765, 0.2086),
        "fasterrcnn_resnet50_fpn": (0.1145, 0.2438),
        "retinanet_resnet50_fpn": (0.2073, 0.2313),
        "maskrcnn_resnet50_fpn": (0.1254, 0.2234),
        "detr_resnet50": (0.1519, 0.2100),
    },
}
