"""The fields of Caffe's messages, as text that `schema` reads.

A field is written as `name=number type`, with `*` where it repeats and a
default where it has one; `{A B C}` is an enum of its own with values 0, 1, 2.
Only what a trained network's forward pass needs is here: the settings of data
and loss layers are not. Fields from 1001 on are those of Caffe's forks, which
number them each in its own way: in files of weights they are not read.
"""

_V1_TYPES = """
  NONE ACCURACY BNLL CONCAT CONVOLUTION DATA DROPOUT EUCLIDEAN_LOSS FLATTEN
  HDF5_DATA HDF5_OUTPUT IM2COL IMAGE_DATA INFOGAIN_LOSS INNER_PRODUCT LRN
  MULTINOMIAL_LOGISTIC_LOSS POOLING RELU SIGMOID SOFTMAX SOFTMAX_LOSS SPLIT
  TANH WINDOW_DATA ELTWISE POWER SIGMOID_CROSS_ENTROPY_LOSS HINGE_LOSS
  MEMORY_DATA ARGMAX THRESHOLD DUMMY_DATA SLICE MVN ABSVAL SILENCE
  CONTRASTIVE_LOSS EXP DECONVOLUTION
"""
_ENGINE = "{DEFAULT CAFFE CUDNN}"
_PHASE = "{TRAIN TEST}"

# In the new form a layer's settings have numbers from 100 on, in the old one
# from 9: name, message, new number, old number (0 where Caffe has none).
SETTINGS = """
  argmax ArgMax 103 23; batch_norm BatchNorm 139 0; bias Bias 141 0;
  bn BN 1001 1003; clip Clip 148 0;
  concat Concat 104 9; convolution Convolution 106 10; crop Crop 144 0;
  dropout Dropout 108 12; dummy_data DummyData 109 26;
  eltwise Eltwise 110 24; elu ELU 140 0;
  exp Exp 111 40; flatten Flatten 135 0; inner_product InnerProduct 117 17;
  input Input 143 0; interp Interp 1002 1004; log Log 134 0; lrn LRN 118 18;
  memory_data MemoryData 119 22; mish Mish 1010 0; mvn MVN 120 34;
  norm Normalize 1003 1005;
  permute Permute 1004 1006;
  pooling Pooling 121 19; power Power 122 21; prelu PReLU 131 0;
  reduction Reduction 136 0; relu ReLU 123 30; relu6 ReLU6 1005 0;
  reshape Reshape 133 0; scale Scale 142 0;
  shuffle_channel ShuffleChannel 1007 0; sigmoid Sigmoid 124 38;
  slice Slice 126 31; softmax Softmax 125 39;
  spatial_dropout SpatialDropout 1011 0; swish Swish 147 0;
  tanh TanH 127 37; threshold Threshold 128 25; tile Tile 138 0;
  transform Transformation 100 36; unpooling Unpooling 1008 0;
  upsample Upsample 1009 0
"""

MESSAGES = {
  "NetParameter": """
    name=1 string; layers=2 V1LayerParameter*; input=3 string*;
    input_dim=4 int32*; force_backward=5 bool; state=6 NetState;
    debug_info=7 bool; input_shape=8 BlobShape*; layer=100 LayerParameter*
  """,
  "NetState": f"phase=1 {_PHASE}; level=2 int32; stage=3 string*",
  "NetStateRule": f"""
    phase=1 {_PHASE}; min_level=2 int32; max_level=3 int32; stage=4 string*;
    not_stage=5 string*
  """,
  "ParamSpec": """
    name=1 string; share_mode=2 {STRICT PERMISSIVE}; lr_mult=3 float;
    decay_mult=4 float
  """,
  "LayerParameter": f"""
    name=1 string; type=2 string; bottom=3 string*; top=4 string*;
    loss_weight=5 float*; param=6 ParamSpec*; blobs=7 BlobProto*;
    include=8 NetStateRule*; exclude=9 NetStateRule*; phase=10 {_PHASE};
    propagate_down=11 bool*
  """,
  "V1LayerParameter": f"""
    layer=1 V0LayerParameter; bottom=2 string*; top=3 string*; name=4 string;
    type=5 {{{_V1_TYPES.strip()}}}; blobs=6 BlobProto*;
    blobs_lr=7 float*; weight_decay=8 float*; include=32 NetStateRule*;
    exclude=33 NetStateRule*; loss_weight=35 float*; param=1001 string*;
    blob_share_mode=1002 {{STRICT PERMISSIVE}}*
  """,
  "V0LayerParameter": "name=1 string; type=2 string; blobs=50 BlobProto*",
  "BlobShape": "dim=1 int64*",
  "BlobProto": """
    num=1 int32; channels=2 int32; height=3 int32; width=4 int32;
    data=5 float*; diff=6 float*; shape=7 BlobShape; double_data=8 double*;
    double_diff=9 double*
  """,
  "FillerParameter": """
    type=1 string; value=2 float; min=3 float; max=4 float; mean=5 float;
    std=6 float; sparse=7 int32; variance_norm=8 {FAN_IN FAN_OUT AVERAGE}
  """,
  "ArgMaxParameter": "out_max_val=1 bool; top_k=2 uint32 1; axis=3 int32",
  "BatchNormParameter": """
    use_global_stats=1 bool; moving_average_fraction=2 float 0.999;
    eps=3 float 1e-5; scale_bias=1001 bool
  """,
  "BNParameter": """
    scale_filler=1 FillerParameter; shift_filler=2 FillerParameter;
    bn_mode=3 {LEARN INFERENCE}; slope_filler=1001 FillerParameter;
    bias_filler=1002 FillerParameter; momentum=1003 float;
    eps=1004 float 1e-5; frozen=1005 bool
  """,
  "BiasParameter": """
    axis=1 int32 1; num_axes=2 int32 1; filler=3 FillerParameter
  """,
  "ClipParameter": "min=1 float; max=2 float",
  "ConcatParameter": "concat_dim=1 uint32 1; axis=2 int32 1",
  "ConvolutionParameter": f"""
    num_output=1 uint32; bias_term=2 bool true; pad=3 uint32*;
    kernel_size=4 uint32*; group=5 uint32 1; stride=6 uint32*;
    weight_filler=7 FillerParameter; bias_filler=8 FillerParameter;
    pad_h=9 uint32; pad_w=10 uint32; kernel_h=11 uint32; kernel_w=12 uint32;
    stride_h=13 uint32; stride_w=14 uint32; engine=15 {_ENGINE};
    axis=16 int32 1; force_nd_im2col=17 bool; dilation=18 uint32*;
    hole=1001 uint32*; hole_h=1002 uint32; hole_w=1003 uint32;
    dilation_h=1004 uint32; dilation_w=1005 uint32
  """,
  "CropParameter": "axis=1 int32 2; offset=2 uint32*",
  "DropoutParameter": """
    dropout_ratio=1 float 0.5; scale_train=1001 bool true;
    sample_weights_test=1002 bool
  """,
  "DummyDataParameter": """
    data_filler=1 FillerParameter*; num=2 uint32*; channels=3 uint32*;
    height=4 uint32*; width=5 uint32*; shape=6 BlobShape*
  """,
  "EltwiseParameter": """
    operation=1 {PROD SUM MAX} SUM; coeff=2 float*;
    stable_prod_grad=3 bool true
  """,
  "ELUParameter": "alpha=1 float 1",
  "ExpParameter": "base=1 float -1; scale=2 float 1; shift=3 float 0",
  "FlattenParameter": "axis=1 int32 1; end_axis=2 int32 -1",
  "InnerProductParameter": """
    num_output=1 uint32; bias_term=2 bool true;
    weight_filler=3 FillerParameter; bias_filler=4 FillerParameter;
    axis=5 int32 1; transpose=6 bool
  """,
  "InputParameter": "shape=1 BlobShape*",
  "InterpParameter": """
    height=1 int32; width=2 int32; zoom_factor=3 int32 1;
    shrink_factor=4 int32 1; pad_beg=5 int32; pad_end=6 int32
  """,
  "LogParameter": "base=1 float -1; scale=2 float 1; shift=3 float 0",
  "LRNParameter": f"""
    local_size=1 uint32 5; alpha=2 float 1; beta=3 float 0.75;
    norm_region=4 {{ACROSS_CHANNELS WITHIN_CHANNEL}}; k=5 float 1;
    engine=6 {_ENGINE}
  """,
  "MemoryDataParameter": """
    batch_size=1 uint32; channels=2 uint32; height=3 uint32; width=4 uint32
  """,
  "MishParameter": f"engine=2 {_ENGINE}",
  "SpatialDropoutParameter": "dropout_ratio=1 float 0.5",
  "MVNParameter": """
    normalize_variance=1 bool true; across_channels=2 bool; eps=3 float 1e-9
  """,
  "NormalizeParameter": """
    across_spatial=1 bool true; scale_filler=2 FillerParameter;
    channel_shared=3 bool true; eps=4 float 1e-10
  """,
  "PermuteParameter": "order=1 uint32*",
  "PoolingParameter": f"""
    pool=1 {{MAX AVE STOCHASTIC}}; kernel_size=2 uint32; stride=3 uint32 1;
    pad=4 uint32 0; kernel_h=5 uint32; kernel_w=6 uint32; stride_h=7 uint32;
    stride_w=8 uint32; pad_h=9 uint32; pad_w=10 uint32; engine=11 {_ENGINE};
    global_pooling=12 bool; round_mode=13 {{CEIL FLOOR}};
    ceil_mode=1001 bool true
  """,
  "PowerParameter": "power=1 float 1; scale=2 float 1; shift=3 float 0",
  "PReLUParameter": "filler=1 FillerParameter; channel_shared=2 bool",
  "ReductionParameter": """
    operation=1 {NONE SUM ASUM SUMSQ MEAN} SUM; axis=2 int32 0; coeff=3 float 1
  """,
  "ReLUParameter": f"negative_slope=1 float 0; engine=2 {_ENGINE}",
  "ReLU6Parameter": "negative_slope=1 float 0",
  "ReshapeParameter": """
    shape=1 BlobShape; axis=2 int32 0; num_axes=3 int32 -1
  """,
  "ScaleParameter": """
    axis=1 int32 1; num_axes=2 int32 1; filler=3 FillerParameter;
    bias_term=4 bool; bias_filler=5 FillerParameter
  """,
  "ShuffleChannelParameter": "group=1 uint32 1",
  "SigmoidParameter": f"engine=1 {_ENGINE}",
  "SliceParameter": """
    slice_dim=1 uint32 1; slice_point=2 uint32*; axis=3 int32 1
  """,
  "SoftmaxParameter": f"engine=1 {_ENGINE}; axis=2 int32 1",
  "SwishParameter": "beta=1 float 1",
  "TanHParameter": f"engine=1 {_ENGINE}",
  "ThresholdParameter": "threshold=1 float 0",
  "TileParameter": "axis=1 int32 1; tiles=2 int32",
  "TransformationParameter": """
    scale=1 float 1; mirror=2 bool; crop_size=3 uint32; mean_file=4 string;
    mean_value=5 float*; force_color=6 bool; force_gray=7 bool;
    crop_h=11 uint32; crop_w=12 uint32; bgr2rgb=18 bool
  """,
  "UnpoolingParameter": """
    unpool=1 {MAX AVE TILE}; kernel_size=2 uint32; stride=3 uint32 1;
    pad=4 uint32; kernel_h=5 uint32; kernel_w=6 uint32; stride_h=7 uint32;
    stride_w=8 uint32; pad_h=9 uint32; pad_w=10 uint32; unpool_size=11 uint32
  """,
  "UpsampleParameter": """
    scale=1 uint32; scale_h=2 uint32; scale_w=3 uint32; pad_out_h=4 bool;
    pad_out_w=5 bool; upsample_h=6 uint32; upsample_w=7 uint32
  """,
}

# What weights need. A packed field of floats is bytes on the wire: read as
# such, an array is one copy away and no number becomes a Python object.
WEIGHTS = {
  "NetParameter": "layers=2 V1LayerParameter*; layer=100 LayerParameter*",
  "LayerParameter": "name=1 string; blobs=7 BlobProto*",
  "V1LayerParameter": """
    layer=1 V0LayerParameter; name=4 string; blobs=6 BlobProto*
  """,
  "V0LayerParameter": "name=1 string; blobs=50 BlobProto*",
  "BlobShape": MESSAGES["BlobShape"],
  "BlobProto": """
    num=1 int32; channels=2 int32; height=3 int32; width=4 int32;
    data=5 bytes*; shape=7 BlobShape; double_data=8 bytes*;
    raw_data_type=10 uint32; raw_data=12 bytes
  """,
}
