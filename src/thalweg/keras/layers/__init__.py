"""keras.layers: all layers by Keras' names."""

from typing import Any

from thalweg.keras.layers.activations.activation import (
    ELU,
    Activation,
    LeakyReLU,
    PReLU,
    ReLU,
    Softmax,
)
from thalweg.keras.layers.attention.grouped_query import (
    GroupedQueryAttention as GroupQueryAttention,
)
from thalweg.keras.layers.attention.multi_head import MultiHeadAttention
from thalweg.keras.layers.attention.scores import AdditiveAttention, Attention
from thalweg.keras.layers.convolutional.conv import Conv1D, Conv2D, Conv3D
from thalweg.keras.layers.convolutional.conv_transpose import (
    Conv1DTranspose,
    Conv2DTranspose,
    Conv3DTranspose,
)
from thalweg.keras.layers.convolutional.depthwise import DepthwiseConv1D, DepthwiseConv2D
from thalweg.keras.layers.convolutional.separable import SeparableConv1D, SeparableConv2D
from thalweg.keras.layers.core.dense import Dense
from thalweg.keras.layers.core.einsum_dense import EinsumDense
from thalweg.keras.layers.core.embedding import Embedding, ReversibleEmbedding
from thalweg.keras.layers.core.input_layer import Input, InputLayer
from thalweg.keras.layers.core.passing import Identity, Lambda, Masking, Wrapper
from thalweg.keras.layers.input_spec import InputSpec
from thalweg.keras.layers.layer import Layer
from thalweg.keras.layers.merging.merge import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from thalweg.keras.layers.normalization.batch import BatchNormalization
from thalweg.keras.layers.normalization.samples import (
    GroupNormalization,
    LayerNormalization,
    RMSNormalization,
    SpectralNormalization,
    UnitNormalization,
)
from thalweg.keras.layers.pooling.pools import (
    AdaptiveAveragePooling1D,
    AdaptiveAveragePooling2D,
    AdaptiveAveragePooling3D,
    AdaptiveMaxPooling1D,
    AdaptiveMaxPooling2D,
    AdaptiveMaxPooling3D,
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)
from thalweg.keras.layers.preprocessing.normalization import Normalization
from thalweg.keras.layers.regularization.dropout import (
    ActivityRegularization,
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from thalweg.keras.layers.reshaping.borders import (
    Cropping1D,
    Cropping2D,
    Cropping3D,
    UpSampling1D,
    UpSampling2D,
    UpSampling3D,
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)
from thalweg.keras.layers.reshaping.reshape import Flatten, Permute, RepeatVector, Reshape
from thalweg.keras.layers.rnn.bidirectional import Bidirectional
from thalweg.keras.layers.rnn.conv_lstm import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D
from thalweg.keras.layers.rnn.gru import GRU, GRUCell
from thalweg.keras.layers.rnn.lstm import LSTM, LSTMCell
from thalweg.keras.layers.rnn.recurrent import RNN, StackedRNNCells
from thalweg.keras.layers.rnn.simple_rnn import SimpleRNN, SimpleRNNCell
from thalweg.keras.layers.rnn.time_distributed import TimeDistributed
from thalweg.keras.saving.registration import register_builtins
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object

Convolution1D, Convolution2D, Convolution3D = Conv1D, Conv2D, Conv3D
Convolution1DTranspose, Convolution2DTranspose = Conv1DTranspose, Conv2DTranspose
Convolution3DTranspose = Conv3DTranspose
SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
GlobalAvgPool1D, GlobalAvgPool2D = GlobalAveragePooling1D, GlobalAveragePooling2D
GlobalAvgPool3D = GlobalAveragePooling3D
GlobalMaxPool1D, GlobalMaxPool2D = GlobalMaxPooling1D, GlobalMaxPooling2D
GlobalMaxPool3D = GlobalMaxPooling3D


def serialize(layer: Layer) -> dict[str, Any]:
    """The config of a layer, with its class."""
    return serialize_keras_object(layer)


def deserialize(config: Any, custom_objects: Any = None) -> Layer:
    """The layer of a config from `serialize`."""
    return deserialize_keras_object(config, custom_objects=custom_objects)


register_builtins(
    "keras.layers",
    {
        name: value
        for name, value in globals().items()
        if isinstance(value, type) and issubclass(value, (Layer, InputSpec))
    },
)
