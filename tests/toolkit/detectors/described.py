"""Small models of a user's own, one a family, as the files that lie beside their weights describe them."""

TORCHVISION = """
builder: fasterrcnn_mobilenet_v3_large_320_fpn
arguments: {box_detections_per_img: 20}
classes: [cat, dog, cow]
"""
ULTRALYTICS = """
nc: 3
names: [cat, dog, cow]
backbone:
  - [-1, 1, Conv, [16, 3, 2]]
  - [-1, 1, Conv, [32, 3, 2]]
  - [-1, 1, C2f, [32]]
  - [-1, 1, Conv, [64, 3, 2]]
  - [-1, 1, Conv, [64, 3, 2]]
  - [-1, 1, SPPF, [64, 5]]
head:
  - [-1, 1, nn.Upsample, [None, 2, nearest]]
  - [[-1, 3], 1, Concat, [1]]
  - [-1, 1, C2f, [64]]
  - [[8, 5], 1, Detect, [nc]]
"""
TRANSFORMERS = """
{"model_type": "detr", "use_timm_backbone": true, "backbone": "resnet18", "d_model": 32, "num_queries": 20,
 "encoder_layers": 1, "decoder_layers": 2, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64,
 "encoder_attention_heads": 2, "decoder_attention_heads": 2, "id2label": {"0": "cat", "1": "dog", "2": "cow"}}
"""
OWN = {"torchvision": TORCHVISION, "ultralytics": ULTRALYTICS, "transformers": TRANSFORMERS}
